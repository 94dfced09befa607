package vault

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"net/http"
	"slices"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// Change is one thing that a server lacks or has otherwise than this release
// wants it.
type Change struct {
	What    string   `json:"what"` // e.g. policy hub-500000-gateway
	Path    string   `json:"path"`
	Missing bool     `json:"missing"`
	Differs []string `json:"differs,omitempty"` // names of settings, when it is not missing
}

// step is one thing that has to be there. Its look says how it is, and its
// put makes it as it has to be; both may be repeated.
type step struct {
	what, path string
	look       func(ctx context.Context) (missing bool, differs []string, err error)
	put        func(ctx context.Context) error
}

// Bootstrap compares a server with what the province needs there, in the order
// in which one thing stands on another, and unless dryRun makes what is
// missing and sets right what differs. It returns what it did, or with dryRun
// would do; a second run returns nothing. Keys, authorities and secrets that
// are there are never touched.
func Bootstrap(ctx context.Context, address, rootToken string, p Province, dryRun bool) ([]Change, error) {
	v, err := newProvisioner(address, rootToken, p)
	if err != nil {
		return nil, err
	}
	defer v.http.CloseIdleConnections()
	var done []Change
	for _, part := range []func(context.Context) ([]step, error){
		v.mountSteps, v.rootStep, v.pkiSteps, v.transitSteps, v.sharedSteps, v.policySteps, v.loginSteps,
	} {
		steps, err := part(ctx)
		if err != nil {
			return done, fmt.Errorf("provision Vault for province %s: %w", p.Region, err)
		}
		for _, s := range steps {
			change, err := s.run(ctx, dryRun)
			if err != nil {
				return done, fmt.Errorf("provision Vault for province %s: %s: %w", p.Region, s.what, err)
			}
			if change != nil {
				done = append(done, *change)
			}
		}
	}
	return done, nil
}

func (s step) run(ctx context.Context, dryRun bool) (*Change, error) {
	missing, differs, err := s.look(ctx)
	if err != nil || !missing && len(differs) == 0 {
		return nil, err
	}
	change := &Change{What: s.what, Path: s.path, Missing: missing, Differs: differs}
	if dryRun {
		return change, nil
	}
	return change, s.put(ctx)
}

func (v *provisioner) write(ctx context.Context, what, path string, body map[string]any) error {
	_, err := v.send(ctx, request{what: what, method: http.MethodPost, path: path, body: body})
	return err
}

// read returns what lies at a path; nothing there, or no engine yet, is nil.
func (v *provisioner) read(ctx context.Context, what, path string) (map[string]any, error) {
	s, err := v.send(ctx, request{what: what, method: http.MethodGet, path: path})
	if errors.Is(err, ErrNotFound) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return s.Data, nil
}

// setting is a step for something that is read and written at one path.
func (v *provisioner) setting(what, path string, want map[string]any) step {
	return step{
		what: what, path: path,
		look: func(ctx context.Context) (bool, []string, error) {
			have, err := v.read(ctx, "read "+what, path)
			return have == nil, differences(want, have), err
		},
		put: func(ctx context.Context) error { return v.write(ctx, "write "+what, path, want) },
	}
}

// mountSteps mount the engines and login methods where nothing is mounted yet.
func (v *provisioner) mountSteps(context.Context) ([]step, error) {
	m := v.mounts
	return []step{
		v.mount("sys/auth", m.AppRole, "approle", nil),
		v.mount("sys/auth", m.Cert, "cert", nil),
		v.mount("sys/mounts", m.PKI, "pki", map[string]any{"config": map[string]any{"max_lease_ttl": rootLife}}),
		v.mount("sys/mounts", m.Transit, "transit", nil),
		v.mount("sys/mounts", m.KV, "kv", map[string]any{"options": map[string]any{"version": "2"}}),
	}, nil
}

func (v *provisioner) mount(table, path, kind string, more map[string]any) step {
	return step{
		what: "mount " + path + " (" + kind + ")", path: table + "/" + path,
		look: func(ctx context.Context) (bool, []string, error) {
			mounted, err := v.read(ctx, "list mounts", table)
			if err != nil {
				return false, nil, err
			}
			there, ok := mounted[path+"/"].(map[string]any)
			if ok && there["type"] != kind {
				return false, nil, problem.New(problem.ConfigInvalid, "%s is already mounted as %v, not %s; move it away", path, there["type"], kind)
			}
			return !ok, nil, nil
		},
		put: func(ctx context.Context) error {
			body := map[string]any{"type": kind, "description": "Chuanyu exchange hub, province " + v.province.Region}
			maps.Copy(body, more)
			if err := v.write(ctx, "mount "+path, table+"/"+path, body); err != nil || kind != "kv" {
				return err
			}
			return v.awaitKV(ctx)
		},
	}
}

const (
	upgradePause    = 100 * time.Millisecond
	upgradeAttempts = 50
)

// awaitKV waits until a KV engine that was just mounted has become version 2:
// for a moment it answers 400 to everything.
func (v *provisioner) awaitKV(ctx context.Context) error {
	for attempt := 1; ; attempt++ {
		_, err := v.send(ctx, request{what: "wait for " + v.mounts.KV, method: http.MethodGet, path: v.mounts.KV + "/config"})
		if !errors.Is(err, errRejected) || attempt == upgradeAttempts {
			return err
		}
		if !sleep(ctx, upgradePause) {
			return ctx.Err()
		}
	}
}

// rootStep makes the root authority unless the province has one.
func (v *provisioner) rootStep(context.Context) ([]step, error) {
	path := v.mounts.PKI + "/root/generate/internal"
	return []step{{
		what: "root authority", path: path,
		look: func(ctx context.Context) (bool, []string, error) {
			_, err := v.send(ctx, request{what: "list the authorities", method: "LIST", path: v.mounts.PKI + "/issuers"})
			if errors.Is(err, ErrNotFound) {
				return true, nil, nil
			}
			return false, nil, err
		},
		put: func(ctx context.Context) error {
			return v.write(ctx, "make the root authority", path, v.province.rootSettings())
		},
	}}, nil
}

func (v *provisioner) pkiSteps(ctx context.Context) ([]step, error) {
	logins, err := v.accessors(ctx)
	if err != nil {
		return nil, err
	}
	steps := []step{
		v.setting("clearing out of what expired", v.mounts.PKI+"/config/auto-tidy", tidySettings()),
		v.setting("publishing of what is revoked", v.mounts.PKI+"/config/crl", crlSettings()),
	}
	for _, r := range v.province.pkiRoles(logins) {
		steps = append(steps, v.setting("PKI role "+r.name, v.mounts.PKI+"/roles/"+r.name, r.settings))
	}
	return steps, nil
}

// accessors of the ways by which a participant's identity is known: tokens
// that were made for it, and its certificate. In a dry run on an empty server
// there are none yet.
func (v *provisioner) accessors(ctx context.Context) (accessors, error) {
	mounted, err := v.read(ctx, "list login methods", "sys/auth")
	if err != nil {
		return nil, err
	}
	var out accessors
	for _, path := range []string{"token/", v.mounts.Cert + "/"} {
		there, _ := mounted[path].(map[string]any)
		if accessor, _ := there["accessor"].(string); accessor != "" {
			out = append(out, accessor)
		}
	}
	return out, nil
}

func (v *provisioner) policySteps(context.Context) ([]step, error) {
	var steps []step
	policies := v.province.Policies()
	for _, name := range slices.Sorted(maps.Keys(policies)) {
		steps = append(steps, v.setting("policy "+name, "sys/policies/acl/"+name, map[string]any{"policy": policies[name]}))
	}
	return steps, nil
}

func (v *provisioner) loginSteps(ctx context.Context) ([]step, error) {
	p := v.province
	var steps []step
	for _, role := range slices.Sorted(maps.Keys(p.appRoles())) {
		steps = append(steps, v.setting("AppRole "+role, "auth/"+v.mounts.AppRole+"/role/"+role, appRoleSettings(p.policyName(role))))
	}
	tokens := p.policyName(policyEnrolment)
	steps = append(steps, v.setting("token role "+tokens, "auth/token/roles/"+tokens, p.enrolmentSettings()))
	issuer, err := v.read(ctx, "read the authority", v.mounts.PKI+"/cert/ca")
	if err != nil {
		return nil, err
	}
	root, _ := issuer["certificate"].(string)
	return append(steps, v.setting("certificate login "+LoginParticipant, "auth/"+v.mounts.Cert+"/certs/"+LoginParticipant, p.renewalSettings(root))), nil
}
