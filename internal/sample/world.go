package sample

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/chuanyu-exchange/hub/schemas/ident"
)

// world is what all families of a province speak of: its counties, companies,
// authorities, persons. What is numbered is the same wherever it occurs, so
// that a complaint's respondent can stand on a list and a winner is a market
// entity.
type world struct {
	*rand.Rand
	region string
	first  int // number of the first row
}

// The last day that samples know of; they reach back from it.
var lastDay = time.Date(2026, 6, 30, 0, 0, 0, 0, time.UTC)

var china = time.FixedZone("UTC+8", 8*60*60)

var counties = map[string][]string{
	"500000": {"500101", "500103", "500105", "500106", "500107", "500112", "500113", "500118"},
	"510000": {"510104", "510105", "510107", "510703", "511302", "511502", "511602", "511702"},
}

var provinces = map[string]string{"500000": "重庆市", "510000": "四川省"}

// The companies of a province: those that take part in public trading come
// first, those that stand on lists begin among them, and complaints are about
// all of them.
const (
	marketEntities = 300
	firstListed    = 200
	mostListed     = 2_000
	respondents    = 5_000
)

// company is a fictional company.
type company struct {
	name, uscc, county, address string
	n                           int
}

var trades = []string{"商贸", "食品", "餐饮管理", "建筑工程", "科技", "物流", "农业", "医药", "汽车服务", "文化传媒"}

// company is the n-th company of the province.
func (w *world) company(n int) company {
	c := counties[w.region]
	county := c[n%len(c)]
	return company{
		name: "川渝测试" + trades[n/len(c)%len(trades)] + strconv.Itoa(n) + "号有限公司", uscc: Company(county, n), county: county,
		address: address(n), n: n,
	}
}

func address(n int) string { return fmt.Sprintf("川渝测试市测试区测试路%d号", 1+n%999) }

// Company is the valid unified social credit code of the n-th fictional
// company of a county: the organisation codes beginning with MAT, and with MAU
// to MAY beyond 100,000, are kept for samples here; the names they stand for do
// not exist.
func Company(county string, n int) string { return uscc("91", county, n) }

// Unit is the same of an authority.
func unit(region string, n int) string { return uscc("11", region, n) }

func uscc(class, region string, n int) string {
	org := "MA" + string("TUWXY"[n/100_000%5]) + fmt.Sprintf("%05d", n%100_000)
	check, err := ident.OrgCheck(org)
	if err != nil {
		panic("sample: " + err.Error()) // the alphabet is right by construction
	}
	body := class + region + org + string(check)
	last, err := ident.USCCCheck(body)
	if err != nil {
		panic("sample: " + err.Error()) // as above
	}
	return body + string(last)
}

// person is a fictional person.
type person struct {
	name, sex, id, phone string
	age                  int
}

// person has an identity number whose region was never assigned, with a valid
// check digit, and a telephone number whose prefix no operator has.
func (w *world) person() person {
	born := time.Date(1950+w.IntN(55), time.Month(1+w.IntN(12)), 1+w.IntN(28), 0, 0, 0, 0, time.UTC)
	sequence := w.IntN(1000)
	body := w.region[:2] + "9900" + born.Format("20060102") + fmt.Sprintf("%03d", sequence)
	check, err := ident.ResidentIDCheck(body)
	if err != nil {
		panic("sample: " + err.Error()) // the body is digits by construction
	}
	return person{
		name: "测试" + w.oneOf("甲", "乙", "丙", "丁", "戊", "己", "庚", "辛", "壬", "癸"), sex: []string{"女", "男"}[sequence%2],
		id: body + string(check), phone: fmt.Sprintf("100%08d", w.IntN(1e8)), age: lastDay.Year() - born.Year() - 1,
	}
}

func (w *world) oneOf(names ...string) string { return names[w.IntN(len(names))] }

func (w *world) county() string { return w.oneOf(counties[w.region]...) }

// share says yes for so many of a hundred.
func (w *world) share(percent int) bool { return w.IntN(100) < percent }

// weighted picks by weight.
type weighted struct {
	names   []string
	weights []int
}

func (w weighted) pick(r *rand.Rand) string {
	total := 0
	for _, n := range w.weights {
		total += n
	}
	at := r.IntN(total)
	for i, n := range w.weights {
		if at -= n; at < 0 {
			return w.names[i]
		}
	}
	return w.names[0]
}

// season is how much happens in each month, January first, in hundredths of
// the year's mean.
type season [12]int

// day picks a day of the year before the last day.
func (w *world) day(s season) time.Time {
	total := 0
	for _, n := range s {
		total += n
	}
	at := w.IntN(total)
	month := 0
	for at -= s[0]; at >= 0; at -= s[month] {
		month++
	}
	year := lastDay.Year()
	if time.Month(month+1) > lastDay.Month() {
		year--
	}
	first := time.Date(year, time.Month(month+1), 1, 0, 0, 0, 0, time.UTC)
	return first.AddDate(0, 0, w.IntN(first.AddDate(0, 1, -1).Day()))
}

// between is a day from first to last.
func (w *world) between(first, last time.Time) time.Time {
	days := int(last.Sub(first) / (24 * time.Hour))
	if days <= 0 {
		return first
	}
	return first.AddDate(0, 0, w.IntN(days+1))
}

// working is an hour of a working day in China.
func (w *world) working(day time.Time) time.Time {
	return time.Date(day.Year(), day.Month(), day.Day(), 9, 0, 0, 0, china).Add(time.Duration(w.IntN(8*60)) * time.Minute)
}

func date(t time.Time) string { return t.Format(time.DateOnly) }

func stamp(t time.Time) string { return t.Format(time.RFC3339) }

// compact is how the trading platforms write a time.
func compact(t time.Time) string { return t.In(china).Format("20060102150405") }

func cents(n int) string { return fmt.Sprintf("%d.%02d", n/100, n%100) }
