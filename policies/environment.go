package policies

import (
	"slices"
	"strings"
	"time"

	"cel.dev/cel-go/cel"

	"github.com/chuanyu-exchange/hub/internal/yamlfile"
)

// Variable is one name that conditions may use. Variables are only ever added,
// so that old rules keep their meaning.
type Variable struct {
	Name   string
	Number bool // a whole number; else text
	EN, ZH string
	of     func(*world) any
}

// Environment lists the variables of conditions: all that a rule can see.
func Environment() []Variable {
	return slices.Concat(callerVariables(), requestVariables(), clockVariables())
}

func callerVariables() []Variable {
	return []Variable{
		{"caller.participant", false, "id of the participant that asks", "调用方（参与方编号）", func(w *world) any { return w.req.Caller.Participant }},
		{"caller.region", false, "its region, six digits", "调用方所在地区", func(w *world) any { return w.req.Caller.Region }},
		{"caller.kind", false, "its kind, as participants.yaml lists them", "调用方类别", func(w *world) any { return w.req.Caller.Kind }},
		{"caller.system", false, "which of its systems, as its certificate names it; may be empty", "调用系统，可为空", func(w *world) any { return w.req.Caller.System }},
	}
}

func requestVariables() []Variable {
	return []Variable{
		{"product.id", false, "the product that is asked for", "目录条目", func(w *world) any { return w.product.ID }},
		{"product.major", true, "its major version", "目录条目主版本", func(w *world) any { return int64(w.product.Major) }},
		{"product.region", false, "whose records: the provider's region", "提供部门所在地区", func(w *world) any { return w.req.Region }},
		{"product.provider", false, "id of the participant that provides it", "提供部门", func(w *world) any { return w.product.Providers[w.req.Region] }},
		{"purpose", false, "what the records are asked for", "使用目的", func(w *world) any { return w.req.Purpose }},
		{"agreement.id", false, "the agreement in force for this caller, product, provider and purpose; \"\" if there is none", "适用的共享协议，没有则为空", func(w *world) any { return w.agreement }},
		{"emergency.id", false, "the emergency access that the caller invokes and may; \"\" if there is none", "适用的应急调用，没有则为空", func(w *world) any { return w.emergency }},
		{"request.delivery", false, "how the answer is to leave: page, bulk, query or verify", "提供方式", func(w *world) any { return w.req.Delivery.String() }},
		{"request.fields", true, "how many fields are named; 0: all that may be had", "所请求字段数，0 表示全部可得字段", func(w *world) any { return int64(len(w.req.Asked)) }},
	}
}

func clockVariables() []Variable {
	return []Variable{
		{"now.date", false, "day of the request, \"2026-01-31\"; like all that follows in China's time (+08:00)", "请求日期（北京时间，下同）", func(w *world) any { return w.now.Format(time.DateOnly) }},
		{"now.time", false, "\"23:59\"", "请求时刻", func(w *world) any { return w.now.Format("15:04") }},
		{"now.year", true, "", "年", func(w *world) any { return int64(w.now.Year()) }},
		{"now.month", true, "1 to 12", "月", func(w *world) any { return int64(w.now.Month()) }},
		{"now.day", true, "of the month", "日", func(w *world) any { return int64(w.now.Day()) }},
		{"now.hour", true, "0 to 23", "时", func(w *world) any { return int64(w.now.Hour()) }},
		{"now.minute", true, "", "分", func(w *world) any { return int64(w.now.Minute()) }},
		{"now.weekday", true, "Monday is 1, Sunday is 7", "星期，周一为 1", func(w *world) any { return int64((w.now.Weekday()+6)%7 + 1) }},
	}
}

// environment is the variables by name, made once for a load.
type environment map[string]Variable

func newEnvironment() environment {
	out := environment{}
	for _, v := range Environment() {
		out[v.Name] = v
	}
	return out
}

// world is what a condition sees. It is an activation of CEL.
type world struct {
	names     environment
	req       *Request
	product   *product
	agreement string
	emergency string
	now       time.Time // in China
}

func (c *consideration) world() *world {
	w := &world{names: c.set.names, req: c.req, product: c.product, now: c.req.Time.In(yamlfile.China())}
	if c.inForce != nil {
		w.agreement = c.inForce.ID
	}
	if c.emergency != nil {
		w.emergency = c.emergency.ID
	}
	return w
}

// Parent is part of CEL's activation; there is none.
func (*world) Parent() cel.Activation { return nil }

// ResolveName gives a variable's value.
func (w *world) ResolveName(name string) (any, bool) {
	v, ok := w.names[strings.TrimPrefix(name, ".")]
	if !ok {
		return nil, false
	}
	return v.of(w), true
}
