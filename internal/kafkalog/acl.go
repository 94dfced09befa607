package kafkalog

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/segmentio/kafka-go/protocol/createacls"
	"github.com/segmentio/kafka-go/protocol/deleteacls"
	"github.com/segmentio/kafka-go/protocol/describeacls"
)

// ACL is one rule of what a principal may do, or with Deny must not
// (Kafka documentation, "Authorization and ACLs").
type ACL struct {
	Resource  string // topic, group, cluster or transactional_id
	Name      string // of the resource; kafka-cluster for the cluster; * for every one
	Prefix    bool   // Name is how names begin
	Operation string // all, read, write, create, delete, alter, describe, …: see aclOperations
	Host      string // address that the principal comes from; "": any
	Deny      bool
}

// Kafka's numbers (protocol guide, "ACL").
var (
	aclResources  = map[string]int8{"topic": 2, "group": 3, "cluster": 4, "transactional_id": 5}
	aclOperations = map[string]int8{
		"all": 2, "read": 3, "write": 4, "create": 5, "delete": 6, "alter": 7, "describe": 8, "cluster_action": 9,
		"describe_configs": 10, "alter_configs": 11, "idempotent_write": 12,
	}
)

const (
	aclAny      int8 = 1 // in a filter, of every kind
	aclDeny     int8 = 2
	aclAllow    int8 = 3
	aclLiteral  int8 = 3
	aclPrefixed int8 = 4
	anyHost          = "*"
)

// String is the rule for people: allow read topic 500000.* from anywhere.
func (a ACL) String() string {
	verb, name, from := "allow", a.Name, ""
	if a.Deny {
		verb = "deny"
	}
	if a.Prefix {
		name += "…"
	}
	if a.Host != "" {
		from = " from " + a.Host
	}
	return fmt.Sprintf("%s %s %s %s%s", verb, a.Operation, a.Resource, name, from)
}

// wireACL is a rule in the numbers of the protocol.
type wireACL struct {
	resource, pattern, operation, permission int8
	name, host                               string
}

func (a ACL) wire() (wireACL, error) {
	w := wireACL{pattern: aclLiteral, permission: aclAllow, name: a.Name, host: cmp.Or(a.Host, anyHost)}
	if a.Prefix {
		w.pattern = aclPrefixed
	}
	if a.Deny {
		w.permission = aclDeny
	}
	w.resource, w.operation = aclResources[a.Resource], aclOperations[a.Operation]
	if w.resource == 0 || w.operation == 0 || w.name == "" {
		return w, fmt.Errorf("kafkalog: the rule %q names no resource, operation or name that Kafka has", a)
	}
	return w, nil
}

// fromWire is false for a rule of a kind that this package does not know: it
// is left alone.
func fromWire(w wireACL) (ACL, bool) {
	a := ACL{Name: w.name, Prefix: w.pattern == aclPrefixed, Deny: w.permission == aclDeny}
	if w.host != anyHost {
		a.Host = w.host
	}
	for name, number := range aclResources {
		if number == w.resource {
			a.Resource = name
		}
	}
	for name, number := range aclOperations {
		if number == w.operation {
			a.Operation = name
		}
	}
	known := a.Resource != "" && a.Operation != "" && (w.pattern == aclLiteral || w.pattern == aclPrefixed)
	return a, known
}

// ACLs are the rules about a principal, e.g. User:connector-cq, in a fixed
// order.
func (c *Client) ACLs(ctx context.Context, principal string) ([]ACL, error) {
	var rules []ACL
	err := c.retry(ctx, "reading the rules about "+principal, func(ctx context.Context) error {
		answer, err := call[*describeacls.Response](ctx, c.cluster, anyBroker, &describeacls.Request{Filter: describeacls.ACLFilter{
			ResourceTypeFilter: aclAny, ResourcePatternTypeFilter: aclAny, PrincipalFilter: principal, Operation: aclAny, PermissionType: aclAny,
		}})
		if err != nil {
			return err
		}
		if err := answered(answer.ErrorCode, answer.ErrorMessage); err != nil {
			return err
		}
		rules = rules[:0]
		for _, r := range answer.Resources {
			for _, a := range r.ACLs {
				rule, known := fromWire(wireACL{r.ResourceType, r.PatternType, a.Operation, a.PermissionType, r.ResourceName, a.Host})
				if known && a.Principal == principal {
					rules = append(rules, rule)
				}
			}
		}
		return nil
	})
	slices.SortFunc(rules, compareACL)
	return rules, err
}

func compareACL(a, b ACL) int { return strings.Compare(a.String(), b.String()) }

// DiffACLs tells which declared rules about a principal the cluster lacks, and
// which it has that are not declared. It changes nothing.
func (c *Client) DiffACLs(ctx context.Context, principal string, declared ...ACL) (missing, surplus []ACL, err error) {
	for _, a := range declared {
		if _, err := a.wire(); err != nil {
			return nil, nil, err
		}
	}
	have, err := c.ACLs(ctx, principal)
	if err != nil {
		return nil, nil, err
	}
	for _, a := range declared {
		if !slices.Contains(have, a) {
			missing = append(missing, a)
		}
	}
	for _, a := range have {
		if !slices.Contains(declared, a) {
			surplus = append(surplus, a)
		}
	}
	return missing, surplus, nil
}

// ApplyACLs brings the rules about a principal to what is declared: those that
// deny are added first and removed last, so that at no moment it may more than
// before and after.
func (c *Client) ApplyACLs(ctx context.Context, principal string, declared ...ACL) (added, removed []ACL, err error) {
	missing, surplus, err := c.DiffACLs(ctx, principal, declared...)
	if err != nil {
		return nil, nil, err
	}
	denying := func(a ACL) bool { return a.Deny }
	allowing := func(a ACL) bool { return !a.Deny }
	for _, step := range []struct {
		rules []ACL
		do    func(context.Context, string, []ACL) error
		done  *[]ACL
	}{
		{filter(missing, denying), c.addACLs, &added},
		{filter(surplus, allowing), c.removeACLs, &removed},
		{filter(missing, allowing), c.addACLs, &added},
		{filter(surplus, denying), c.removeACLs, &removed},
	} {
		if len(step.rules) == 0 {
			continue
		}
		if err := step.do(ctx, principal, step.rules); err != nil {
			return added, removed, err
		}
		*step.done = append(*step.done, step.rules...)
	}
	return added, removed, nil
}

func filter(rules []ACL, wanted func(ACL) bool) []ACL {
	var out []ACL
	for _, a := range rules {
		if wanted(a) {
			out = append(out, a)
		}
	}
	return out
}

func (c *Client) addACLs(ctx context.Context, principal string, rules []ACL) error {
	req := new(createacls.Request)
	for _, a := range rules {
		w, err := a.wire()
		if err != nil {
			return err
		}
		req.Creations = append(req.Creations, createacls.RequestACLs{
			ResourceType: w.resource, ResourceName: w.name, ResourcePatternType: w.pattern,
			Principal: principal, Host: w.host, Operation: w.operation, PermissionType: w.permission,
		})
	}
	return c.retry(ctx, "adding rules about "+principal, func(ctx context.Context) error {
		answer, err := call[*createacls.Response](ctx, c.cluster, controller, req)
		if err != nil {
			return err
		}
		for i, r := range answer.Results {
			if err := answered(r.ErrorCode, r.ErrorMessage); err != nil {
				return fmt.Errorf("rule %d of %d: %w", i+1, len(rules), err)
			}
		}
		return nil
	})
}

func (c *Client) removeACLs(ctx context.Context, principal string, rules []ACL) error {
	req := new(deleteacls.Request)
	for _, a := range rules {
		w, err := a.wire()
		if err != nil {
			return err
		}
		req.Filters = append(req.Filters, deleteacls.RequestFilter{
			ResourceTypeFilter: w.resource, ResourceNameFilter: w.name, ResourcePatternTypeFilter: w.pattern,
			PrincipalFilter: principal, HostFilter: w.host, Operation: w.operation, PermissionType: w.permission,
		})
	}
	return c.retry(ctx, "removing rules about "+principal, func(ctx context.Context) error {
		answer, err := call[*deleteacls.Response](ctx, c.cluster, controller, req)
		if err != nil {
			return err
		}
		for i, r := range answer.FilterResults {
			if err := answered(r.ErrorCode, r.ErrorMessage); err != nil {
				return fmt.Errorf("rule %d of %d: %w", i+1, len(rules), err)
			}
		}
		return nil
	})
}
