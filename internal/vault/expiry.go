package vault

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"
)

// maxListed bounds how many of a kind are looked at.
const maxListed = 20_000

// State is how near its end a credential is.
type State string

// The states, the worst first.
const (
	StateEnded State = "ended" // it may still be listed for a while
	StateRed   State = "red"   // less than a tenth of its life is left, and nothing has taken its place
	StateDue   State = "due"   // less than half is left: what renews itself should have
	StateGood  State = "good"
	StateOld   State = "superseded" // a newer one of the same name is there
	// StateUnclear: less than a tenth of its life is left, and a newer one of
	// the same name is there: it took its place, or is another replica's, and
	// this one's cannot renew. Vault cannot tell replicas apart; they can.
	StateUnclear State = "unclear"
)

// Expiring is something with an end: a certificate, a token, a secret id or a
// version of a key. It is told by its accessor, serial number or version, and
// holds no secret.
type Expiring struct {
	Kind  string    `json:"kind"` // authority, certificate, token, secret_id, transit_key, shared_key
	Name  string    `json:"name"` // whose
	ID    string    `json:"id"`
	Begun time.Time `json:"begun,omitzero"`
	Ends  time.Time `json:"ends,omitzero"` // zero: it does not end by itself
	State State     `json:"state"`
}

// Credentials lists all of the province's credentials, what ends first first
// and what does not end last. The client must be the auditor's.
func (c *Client) Credentials(ctx context.Context) ([]Expiring, error) {
	var all []Expiring
	for _, list := range []func(context.Context) ([]Expiring, error){
		c.expiringCertificates, c.expiringTokens, c.expiringSecretIDs, c.transitVersions, c.sharedVersions,
	} {
		part, err := list(ctx)
		if err != nil {
			return nil, err
		}
		all = append(all, part...)
	}
	judge(all, c.cfg.Now())
	return all, nil
}

// judge sets the states and sorts. Of several of one name the one that ends
// last counts: the others have been replaced, or, of what each replica has for
// itself, are perhaps another replica's. Each secret id counts by itself,
// because nothing tells which of them is in use.
func judge(all []Expiring, now time.Time) {
	latest := map[string]time.Time{}
	key := func(e *Expiring) string { return e.Kind + " " + e.Name }
	for i := range all {
		if e := &all[i]; e.Ends.After(latest[key(e)]) {
			latest[key(e)] = e.Ends
		}
	}
	for i := range all {
		e := &all[i]
		replaced := e.Kind == kindShared || e.Kind != kindSecretID && e.Ends.Before(latest[key(e)])
		e.State = e.judged(replaced, now)
	}
	slices.SortStableFunc(all, func(a, b Expiring) int {
		if a.Ends.IsZero() != b.Ends.IsZero() {
			return cmp.Compare(b.Ends.Unix(), a.Ends.Unix()) // without an end: last
		}
		return cmp.Or(a.Ends.Compare(b.Ends), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Name, b.Name), cmp.Compare(a.ID, b.ID))
	})
}

func (e *Expiring) judged(replaced bool, now time.Time) State {
	left, life := e.Ends.Sub(now), e.Ends.Sub(e.Begun)
	ofReplica := e.Kind == kindCertificate || e.Kind == kindToken
	switch {
	case e.Ends.IsZero():
		return StateGood
	case left <= 0:
		return StateEnded
	case replaced && ofReplica && left < life/10:
		return StateUnclear
	case replaced:
		return StateOld
	case left < life/10:
		return StateRed
	case left < life/2:
		return StateDue
	}
	return StateGood
}

// The kinds.
const (
	kindAuthority   = "authority"
	kindCertificate = "certificate"
	kindToken       = "token"
	kindSecretID    = "secret_id"
	kindTransit     = "transit_key"
	kindShared      = "shared_key"
)

// list returns the keys of a LIST; of nothing there are none.
func (c *Client) list(ctx context.Context, what, path string) ([]string, error) {
	s, err := c.do(ctx, request{what: "list " + what, method: "LIST", path: path})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	keys, _ := s.Data["keys"].([]any)
	if len(keys) > maxListed {
		return nil, fmt.Errorf("list %s: %d of them, at most %d are looked at", what, len(keys), maxListed)
	}
	out := make([]string, 0, len(keys))
	for _, k := range keys {
		name, _ := k.(string)
		if err := checkSegment(what, strings.Trim(strings.ReplaceAll(name, ":", "-"), "/")); err != nil {
			return nil, err
		}
		out = append(out, name)
	}
	return out, nil
}

func (c *Client) expiringCertificates(ctx context.Context) ([]Expiring, error) {
	serials, err := c.list(ctx, "certificates", c.cfg.Mounts.PKI+"/certs")
	if err != nil {
		return nil, err
	}
	var out []Expiring
	for _, serial := range serials {
		s, err := c.do(ctx, request{what: "read a certificate", method: http.MethodGet, path: c.cfg.Mounts.PKI + "/cert/" + serial})
		if errors.Is(err, ErrNotFound) {
			continue // cleared out since
		}
		if err != nil {
			return nil, err
		}
		if revoked, _ := s.Data["revocation_time"].(json.Number); revoked != "" && revoked != "0" {
			continue
		}
		cert, err := parseCertificate(s.Data["certificate"])
		if err != nil {
			return nil, fmt.Errorf("certificate %s: %w", serial, err)
		}
		e := Expiring{Kind: kindCertificate, Name: cert.Subject.CommonName, ID: serial, Begun: cert.NotBefore, Ends: cert.NotAfter}
		if cert.IsCA {
			e.Kind = kindAuthority
		} else if len(cert.URIs) > 0 {
			e.Name = cert.URIs[0].String()
		}
		out = append(out, e)
	}
	return out, nil
}

func (c *Client) expiringTokens(ctx context.Context) ([]Expiring, error) {
	accessors, err := c.list(ctx, "tokens", "auth/token/accessors")
	if err != nil {
		return nil, err
	}
	ours := map[string]bool{
		"auth/" + c.cfg.Mounts.AppRole + "/login": true, "auth/" + c.cfg.Mounts.Cert + "/login": true, c.cfg.Mounts.enrolmentPath(): true,
	}
	var out []Expiring
	for _, accessor := range accessors {
		s, err := c.do(ctx, request{
			what: "look a token up", method: http.MethodPost, path: "auth/token/lookup-accessor", body: map[string]any{"accessor": accessor}, quiet: true,
		})
		if errors.Is(err, ErrNotFound) || errors.Is(err, ErrDenied) || errors.Is(err, errRejected) || err == nil && s == nil {
			continue // it ended since
		}
		if err != nil {
			return nil, err
		}
		if path, _ := s.Data["path"].(string); !ours[path] {
			continue // another province's, or an administrator's
		}
		e := Expiring{Kind: kindToken, ID: accessor, Name: tokenName(s.Data)}
		e.Begun, e.Ends = unixTime(s.Data["creation_time"]), textTime(s.Data["expire_time"])
		if renewed := unixTime(s.Data["last_renewal_time"]); renewed.After(e.Begun) {
			e.Begun = renewed // its life counts from there
		}
		out = append(out, e)
	}
	return out, nil
}

// tokenName is the AppRole or the certificate's name behind a token.
func tokenName(data map[string]any) string {
	meta, _ := data["meta"].(map[string]any)
	for _, field := range []string{"role_name", "common_name"} {
		if name, _ := meta[field].(string); name != "" {
			return name
		}
	}
	name, _ := data["display_name"].(string)
	return strings.TrimPrefix(name, "token-")
}

func (c *Client) expiringSecretIDs(ctx context.Context) ([]Expiring, error) {
	roles, err := c.list(ctx, "AppRoles", "auth/"+c.cfg.Mounts.AppRole+"/role")
	if err != nil {
		return nil, err
	}
	var out []Expiring
	for _, role := range roles {
		accessors, err := c.list(ctx, "secret ids", secretIDPath(c.cfg.Mounts, role))
		if err != nil {
			return nil, err
		}
		for _, accessor := range accessors {
			s, err := c.do(ctx, request{
				what: "look a secret id up", method: http.MethodPost, path: secretIDPath(c.cfg.Mounts, role) + "-accessor/lookup",
				body: map[string]any{"secret_id_accessor": accessor}, quiet: true,
			})
			if errors.Is(err, ErrNotFound) || err == nil && s == nil {
				continue
			}
			if err != nil {
				return nil, err
			}
			out = append(out, Expiring{
				Kind: kindSecretID, Name: role, ID: accessor, Begun: textTime(s.Data["creation_time"]), Ends: textTime(s.Data["expiration_time"]),
			})
		}
	}
	return out, nil
}

func (c *Client) transitVersions(ctx context.Context) ([]Expiring, error) {
	names, err := c.list(ctx, "Transit keys", c.cfg.Mounts.Transit+"/keys")
	if err != nil {
		return nil, err
	}
	var out []Expiring
	for _, name := range names {
		s, err := c.do(ctx, request{what: "read the versions of a key", method: http.MethodGet, path: c.cfg.Mounts.Transit + "/keys/" + name})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		versions, _ := s.Data["keys"].(map[string]any)
		for version, v := range versions {
			e := Expiring{Kind: kindTransit, Name: name, ID: version}
			if asymmetric, ok := v.(map[string]any); ok {
				e.Begun = textTime(asymmetric["creation_time"])
			} else {
				e.Begun = unixTime(v)
			}
			out = append(out, e)
		}
	}
	return out, nil
}

func (c *Client) sharedVersions(ctx context.Context) ([]Expiring, error) {
	var names []string
	for _, dir := range []string{"", "record/", "hash/"} {
		below, err := c.list(ctx, "shared keys", c.cfg.Mounts.KV+"/metadata/"+dir)
		if err != nil {
			return nil, err
		}
		for _, name := range below {
			if !strings.HasSuffix(name, "/") {
				names = append(names, dir+name)
			}
		}
	}
	var out []Expiring
	for _, name := range names {
		s, err := c.do(ctx, request{what: "list the versions of " + name, method: http.MethodGet, path: c.cfg.Mounts.KV + "/metadata/" + name})
		if errors.Is(err, ErrNotFound) {
			continue
		}
		if err != nil {
			return nil, err
		}
		versions := liveVersions(s.Data, c.cfg.Now())
		for i, v := range versions {
			e := Expiring{Kind: kindShared, Name: name, ID: strconv.Itoa(v.Version), Begun: v.Created}
			if name == KeyCursor && i > 0 { // until gateways no longer accept it
				e.Ends = versions[i-1].Created.Add(RingOptions{}.withDefaults().Keep)
			}
			out = append(out, e)
		}
	}
	return out, nil
}

func textTime(v any) time.Time {
	text, _ := v.(string)
	t, err := time.Parse(time.RFC3339Nano, text)
	if err != nil || t.Year() < 1971 { // year 1: never
		return time.Time{}
	}
	return t.UTC()
}

func unixTime(v any) time.Time {
	n, _ := v.(json.Number)
	seconds, err := n.Int64()
	if err != nil || seconds <= 0 {
		return time.Time{}
	}
	return time.Unix(seconds, 0).UTC()
}
