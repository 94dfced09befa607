package httpapi

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/gateway"
	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

func (c *registryCall) subject() (*registrySubject, error) {
	return c.subjects.find(c.Param("subject"))
}

// place is the version that the path names.
func (c *registryCall) place() (place, error) {
	s, err := c.subject()
	if err != nil {
		return place{}, err
	}
	return s.version(c.Param("version"))
}

func lookup(c *registryCall) (any, error) {
	s, err := c.subject()
	if err != nil {
		return nil, err
	}
	t, err := c.schema()
	if err != nil {
		return nil, err
	}
	p, err := s.lookup(t)
	if err != nil {
		return nil, err
	}
	return p.schemaVersion(), nil
}

// register answers the id of a schema that is published already, which
// serialisers ask for in this way, and refuses any other.
func register(c *registryCall) (any, error) {
	s, err := c.subject()
	if err != nil {
		return nil, err
	}
	t, err := c.schema()
	if err != nil {
		return nil, err
	}
	p, err := s.lookup(t)
	if err != nil {
		return nil, errReadOnly
	}
	return struct {
		ID uint32 `json:"id"`
	}{p.Schema.ID}, nil
}

func listVersions(c *registryCall) (any, error) {
	s, err := c.subject()
	if err != nil {
		return nil, err
	}
	var out []int
	for i := range s.revisions {
		out = append(out, i+1)
	}
	return page(c, out), nil
}

func version(c *registryCall) (any, error) {
	p, err := c.place()
	if err != nil {
		return nil, err
	}
	return p.schemaVersion(), nil
}

func versionText(c *registryCall) (any, error) {
	p, err := c.place()
	if err != nil {
		return nil, err
	}
	return rawSchema(p.Schema.Source), nil
}

func referencedBy(c *registryCall) (any, error) {
	_, err := c.place()
	return []uint32{}, err
}

func compatibility(c *registryCall) (any, error) {
	s, err := c.subject()
	if err != nil {
		return nil, err
	}
	t, err := c.schema()
	if err != nil {
		return nil, err
	}
	found, err := s.check(t, c.Param("version"))
	if err != nil {
		return nil, err
	}
	out := struct {
		Compatible bool     `json:"is_compatible"`
		Messages   []string `json:"messages,omitempty"`
	}{Compatible: len(found) == 0}
	if c.Query("verbose") == "true" {
		for _, v := range found {
			out.Messages = append(out.Messages, v.Error())
		}
	}
	return out, nil
}

type compatibilityLevel struct {
	Level string `json:"compatibilityLevel"`
}

func config(c *registryCall) (any, error) { return compatibilityLevel{c.level.String()}, nil }

func subjectConfig(c *registryCall) (any, error) {
	s, err := c.subject()
	if err != nil {
		return nil, err
	}
	if !s.line.Declared && c.Query("defaultToGlobal") != "true" {
		return nil, errNoLevel
	}
	return compatibilityLevel{s.line.Level.String()}, nil
}

func setConfig(c *registryCall) (any, error) {
	req, err := c.read()
	if err != nil {
		return nil, err
	}
	if _, err := evolve.ParseLevel(strings.ToUpper(req.Compatibility)); err != nil {
		return nil, errLevel
	}
	return readOnly(c)
}

func mode(c *registryCall) (any, error) {
	if name := c.Param("subject"); name != "" {
		if _, err := c.subject(); err != nil {
			return nil, err
		}
	}
	return struct {
		Mode string `json:"mode"`
	}{"READONLY"}, nil
}

func setMode(c *registryCall) (any, error) {
	req, err := c.read()
	if err != nil {
		return nil, err
	}
	switch req.Mode {
	case "READWRITE", "READONLY", "READONLY_OVERRIDE", "IMPORT", "FORWARD":
		return readOnly(c)
	}
	return nil, errMode
}

// readOnly refuses a write to what exists, and says of the rest that it does
// not.
func readOnly(c *registryCall) (any, error) {
	if c.Param("subject") != "" {
		s, err := c.subject()
		if err != nil {
			return nil, err
		}
		if v := c.Param("version"); v != "" {
			if _, err := s.version(v); err != nil {
				return nil, err
			}
		}
	}
	return nil, errReadOnly
}

// registryError is a refusal in the registry's own words: a number that
// clients know, which is the HTTP status, or begins with it.
type registryError struct {
	code int
	text string
}

func (e *registryError) Error() string { return e.text }

// The refusals. Their codes are those of Confluent's API.
var (
	errSubject        = &registryError{40401, "there is no such subject, or none that this participant may know of; subjects are called <topic>-value; 主题不存在，或无权知悉"}
	errVersionUnknown = &registryError{40402, "the subject has no such version; 该主题没有此版本"}
	errSchema         = &registryError{40403, "there is no such schema, or none that this participant may know of; 模式不存在，或无权知悉"}
	errNoLevel        = &registryError{40408, "the subject declares no compatibility level of its own; ask with defaultToGlobal=true; 该主题未单独声明兼容级别"}
	errMediaType      = &registryError{41501, "the body is to be " + registryType + " or application/json; 请求体类型不支持"}
	errVersion        = &registryError{42202, "a version is a number from 1, or latest; 版本号须为正整数或 latest"}
	errLevel          = &registryError{42203, "compatibility is NONE, or BACKWARD, FORWARD or FULL, each also with _TRANSITIVE; 兼容级别无效"}
	errMode           = &registryError{42204, "mode is READWRITE, READONLY, READONLY_OVERRIDE, IMPORT or FORWARD; 模式无效"}
	errReadOnly       = &registryError{42205, "this registry is read-only: schemas are published with the exchange, see CONTRIBUTING.md; 本注册中心只读，模式随平台发布"}
)

func invalidSchema(why string) error {
	return &registryError{42201, "the schema is not valid: " + why + "; 模式无效"}
}

// failRegistry answers an error as {error_code, message}. A problem keeps its
// code and both sentences in the message.
func (a *API) failRegistry(c *gin.Context, err error) {
	refusal, ok := err.(*registryError) //nolint:errorlint // it is never wrapped
	if ok {
		c.Set(keyProblem, "registry_refused")
	} else {
		refusal = a.registryProblem(c, err)
	}
	status := refusal.code
	if status > 999 {
		status /= 100
	}
	body, err := json.Marshal(struct {
		Code    int    `json:"error_code"`
		Message string `json:"message"`
	}{refusal.code, refusal.text})
	if err != nil {
		c.Status(http.StatusInternalServerError)
		return
	}
	c.Data(status, registryAccept(c.GetHeader("Accept")), body)
}

func (a *API) registryProblem(c *gin.Context, err error) *registryError {
	p := problem.From(err)
	status := a.noteProblem(c, p, err)
	e := p.Code.Entry()
	text := p.Error() + "; " + e.FixEN + "; " + e.ZH + "，" + e.FixZH
	if status == http.StatusNotFound || status == http.StatusMethodNotAllowed { // of the path, not of a subject
		return &registryError{status, text}
	}
	return &registryError{status*100 + 1, text}
}

// registryCredentials are what a Kafka client presents: its certificate, and a
// grant as a bearer token or, from clients that know nothing else, as the
// password of Basic.
func registryCredentials(c *gin.Context) (gateway.Credentials, error) {
	out := credentials(c)
	header := c.GetHeader("Authorization")
	if header == "" || out.Token != "" {
		return out, nil
	}
	scheme, value, _ := strings.Cut(header, " ")
	if strings.EqualFold(scheme, "Basic") {
		if plain, err := base64.StdEncoding.DecodeString(value); err == nil {
			_, out.Token, _ = strings.Cut(string(plain), ":")
		}
	}
	if out.Token == "" { // what is presented and cannot be read is no absence
		return out, problem.New(problem.TokenMalformed, "")
	}
	return out, nil
}
