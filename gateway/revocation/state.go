package revocation

import (
	"crypto/sha256"
	"crypto/x509"
	"maps"
	"time"

	"github.com/chuanyu-exchange/hub/internal/problem"
)

// State is what is known at one time. It is immutable; the zero value knows
// nothing.
type State struct {
	lists   map[issuerID]*list
	answers map[leafID]*answer
}

// issuerID and leafID are SHA-256 over an authority's name and key, and over a
// certificate: two authorities of one name are not taken for each other.
type (
	issuerID [sha256.Size]byte
	leafID   [sha256.Size]byte
)

func idOf(issuer *x509.Certificate) issuerID {
	h := sha256.New()
	h.Write(issuer.RawSubject)
	h.Write(issuer.RawSubjectPublicKeyInfo)
	return issuerID(h.Sum(nil))
}

// validity is the time for which a statement of an authority holds.
type validity struct {
	from, until time.Time
}

// at says whether it holds, but for clocks that are apart.
func (v validity) at(now time.Time) bool {
	return !now.Before(v.from.Add(-clockSkew)) && now.Before(v.until)
}

// half is when to ask again.
func (v validity) half() time.Time { return v.from.Add(v.until.Sub(v.from) / 2) }

const (
	clockSkew = time.Minute
	// maxAge bounds how long a statement is believed, however long its
	// authority says that it holds.
	maxAge = 7 * 24 * time.Hour
)

// Check says what is known of a certificate: nil if its issuer says that it is
// good, problem.CertificateRevoked, or problem.CertificateStatus. Revoked by
// the list or by the answer is revoked; good needs one that holds now.
func (s *State) Check(cert, issuer *x509.Certificate, now time.Time) error {
	known := false
	if l := s.lists[idOf(issuer)]; l != nil {
		if since, revoked := l.revoked[cert.SerialNumber.String()]; revoked {
			return problem.New(problem.CertificateRevoked, "its authority revoked it at %s", since.UTC().Format(time.RFC3339))
		}
		known = l.at(now)
	}
	if a := s.answers[sha256.Sum256(cert.Raw)]; a != nil {
		if a.revoked {
			return problem.New(problem.CertificateRevoked, "its authority revoked it at %s", a.since.UTC().Format(time.RFC3339))
		}
		known = known || a.at(now)
	}
	if !known {
		return problem.New(problem.CertificateStatus, "%s published nothing that holds now", issuer.Subject.CommonName)
	}
	return nil
}

// withList is the state with a list in place of its issuer's. An older one
// never replaces a newer one.
func (s *State) withList(issuer *x509.Certificate, l *list) *State {
	id := idOf(issuer)
	if held := s.lists[id]; held != nil && (l.from.Before(held.from) || l.number.Cmp(held.number) < 0) {
		return s
	}
	out := &State{lists: maps.Clone(s.lists), answers: s.answers}
	if out.lists == nil {
		out.lists = map[issuerID]*list{}
	}
	out.lists[id] = l
	return out
}

// withAnswer is the state with the answer about a certificate, and without
// those that ended. What was revoked once stays so.
func (s *State) withAnswer(cert *x509.Certificate, a *answer, now time.Time) *State {
	id := leafID(sha256.Sum256(cert.Raw))
	out := &State{lists: s.lists, answers: map[leafID]*answer{}}
	for other, held := range s.answers {
		if held.at(now) || held.revoked && now.Before(held.expires) {
			out.answers[other] = held
		}
	}
	if held := out.answers[id]; held == nil || !held.revoked {
		out.answers[id] = a
	}
	return out
}
