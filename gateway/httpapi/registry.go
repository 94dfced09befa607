package httpapi

import (
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"slices"
	"strconv"
	"strings"

	"github.com/gin-gonic/gin"

	"github.com/chuanyu-exchange/hub/internal/problem"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// The registry speaks the REST API of Confluent's Schema Registry, which Kafka
// clients know. It is read-only: schemas are published with the project.
const (
	registryPath    = "/schema-registry"
	registryType    = "application/vnd.schemaregistry.v1+json"
	maxRegistryBody = 1 << 20 // a schema, escaped as a JSON string
)

// registryTypes are the media types of requests.
var registryTypes = []string{
	"", registryType, "application/vnd.schemaregistry+json", "application/json", "application/octet-stream",
}

func (a *API) registryRoutes(r *gin.RouterGroup) {
	r.GET("", a.registry(emptyObject))
	r.GET("/", a.registry(emptyObject))
	r.GET("/contexts", a.registry(func(*registryCall) (any, error) { return []string{"."}, nil }))

	r.GET("/schemas", a.registry(allSchemas))
	r.GET("/schemas/types", a.registry(func(*registryCall) (any, error) { return []string{"AVRO"}, nil }))
	r.GET("/schemas/ids/:id", a.registry(schemaByID))
	r.GET("/schemas/ids/:id/schema", a.registry(schemaText))
	r.GET("/schemas/ids/:id/subjects", a.registry(subjectsOfID))
	r.GET("/schemas/ids/:id/versions", a.registry(versionsOfID))

	r.GET("/subjects", a.registry(listSubjects))
	r.POST("/subjects/:subject", a.registry(lookup))
	r.DELETE("/subjects/:subject", a.registry(readOnly))
	r.GET("/subjects/:subject/versions", a.registry(listVersions))
	r.POST("/subjects/:subject/versions", a.registry(register))
	r.GET("/subjects/:subject/versions/:version", a.registry(version))
	r.GET("/subjects/:subject/versions/:version/schema", a.registry(versionText))
	r.GET("/subjects/:subject/versions/:version/referencedby", a.registry(referencedBy))
	r.DELETE("/subjects/:subject/versions/:version", a.registry(readOnly))

	r.POST("/compatibility/subjects/:subject/versions", a.registry(compatibility))
	r.POST("/compatibility/subjects/:subject/versions/:version", a.registry(compatibility))

	r.GET("/config", a.registry(config))
	r.GET("/config/:subject", a.registry(subjectConfig))
	r.PUT("/config", a.registry(setConfig))
	r.PUT("/config/:subject", a.registry(setConfig))
	r.DELETE("/config", a.registry(readOnly))
	r.DELETE("/config/:subject", a.registry(readOnly))

	r.GET("/mode", a.registry(mode))
	r.GET("/mode/:subject", a.registry(mode))
	r.PUT("/mode", a.registry(setMode))
	r.PUT("/mode/:subject", a.registry(setMode))
	r.DELETE("/mode", a.registry(readOnly))
	r.DELETE("/mode/:subject", a.registry(readOnly))
}

// registryCall is one request, with what its caller may see.
type registryCall struct {
	*gin.Context
	level    evolve.Level // of subjects that declare none
	subjects registrySubjects
}

// rawSchema is an answer that is the schema itself, as published.
type rawSchema []byte

// registry wraps a handler: who calls, what it may see, and the answer's form.
func (a *API) registry(handle func(*registryCall) (any, error)) gin.HandlerFunc {
	return func(c *gin.Context) {
		answer, err := a.registryAnswer(c, handle)
		if err != nil {
			a.failRegistry(c, err)
			return
		}
		c.Data(http.StatusOK, registryAccept(c.GetHeader("Accept")), answer)
	}
}

func (a *API) registryAnswer(c *gin.Context, handle func(*registryCall) (any, error)) ([]byte, error) {
	credentials, err := registryCredentials(c)
	if err != nil {
		return nil, err
	}
	products, err := a.Gateway.Topics(c.Request.Context(), credentials)
	if err != nil {
		return nil, err
	}
	kind, _, _ := strings.Cut(c.GetHeader("Content-Type"), ";")
	if !slices.Contains(registryTypes, strings.TrimSpace(strings.ToLower(kind))) {
		return nil, errMediaType
	}
	answer, err := handle(&registryCall{
		Context: c, level: a.Subjects.Default, subjects: newRegistrySubjects(a.Gateway.Region, products, a.Subjects),
	})
	if err != nil {
		return nil, err
	}
	if raw, ok := answer.(rawSchema); ok {
		return raw, nil
	}
	return json.Marshal(answer)
}

// registryAccept answers plain JSON to who asks only for that.
func registryAccept(accept string) string {
	if strings.Contains(accept, "application/json") && !strings.Contains(accept, "schemaregistry") {
		return "application/json"
	}
	return registryType
}

// registryRequest is the body of a request; what else it says is of no account.
type registryRequest struct {
	Schema        string            `json:"schema"`
	SchemaType    string            `json:"schemaType"`
	References    []json.RawMessage `json:"references"`
	Compatibility string            `json:"compatibility"`
	Mode          string            `json:"mode"`
}

func (c *registryCall) read() (*registryRequest, error) {
	raw, err := io.ReadAll(c.Request.Body)
	if err != nil {
		if _, tooLong := errors.AsType[*http.MaxBytesError](err); tooLong {
			return nil, problem.New(problem.RequestTooLarge, "the body has more than %d bytes", maxRegistryBody)
		}
		return nil, problem.Wrap(problem.RequestInvalid, err, "the body cannot be read")
	}
	var out registryRequest
	if err := json.Unmarshal(raw, &out); err != nil {
		return nil, problem.New(problem.RequestInvalid, "the body is not the JSON object that this path takes")
	}
	return &out, nil
}

// schema reads the schema in the body.
func (c *registryCall) schema() (*avro.Type, error) {
	req, err := c.read()
	switch {
	case err != nil:
		return nil, err
	case req.SchemaType != "" && req.SchemaType != "AVRO":
		return nil, invalidSchema("schemaType is AVRO here, and nothing else")
	case len(req.References) > 0:
		return nil, invalidSchema("references to other subjects are not used here")
	}
	t, err := avro.Parse([]byte(req.Schema))
	if err != nil {
		return nil, invalidSchema(err.Error())
	}
	return t, nil
}

func emptyObject(*registryCall) (any, error) { return struct{}{}, nil }

// page cuts a list as offset and limit ask.
func page[T any](c *registryCall, all []T) []T {
	offset, err := strconv.Atoi(c.Query("offset"))
	if err != nil || offset < 0 {
		offset = 0
	}
	out := all[min(offset, len(all)):]
	if limit, err := strconv.Atoi(c.Query("limit")); err == nil && limit >= 0 && limit < len(out) {
		out = out[:limit]
	}
	return append([]T{}, out...) // never null
}

type schemaVersion struct {
	Subject string `json:"subject"`
	Version int    `json:"version"`
	ID      uint32 `json:"id"`
	Schema  string `json:"schema"`
}

func (p place) schemaVersion() schemaVersion {
	return schemaVersion{Subject: p.subject, Version: p.version, ID: p.Schema.ID, Schema: string(p.Schema.Source)}
}

func allSchemas(c *registryCall) (any, error) {
	var out []schemaVersion
	for i := range c.subjects {
		s := &c.subjects[i]
		if !strings.HasPrefix(s.name, c.Query("subjectPrefix")) {
			continue
		}
		for v, r := range s.revisions {
			if c.Query("latestOnly") == "true" && v < len(s.revisions)-1 {
				continue
			}
			out = append(out, place{s.name, v + 1, r}.schemaVersion())
		}
	}
	return page(c, out), nil
}

func schemaByID(c *registryCall) (any, error) {
	found, err := c.subjects.byID(c.Param("id"))
	if err != nil {
		return nil, err
	}
	out := struct {
		Schema string `json:"schema"`
		MaxID  uint32 `json:"maxId,omitempty"`
	}{Schema: string(found[0].Schema.Source)}
	if c.Query("fetchMaxId") == "true" {
		out.MaxID = c.subjects.maxID()
	}
	return out, nil
}

func schemaText(c *registryCall) (any, error) {
	found, err := c.subjects.byID(c.Param("id"))
	if err != nil {
		return nil, err
	}
	return rawSchema(found[0].Schema.Source), nil
}

func subjectsOfID(c *registryCall) (any, error) {
	found, err := c.subjects.byID(c.Param("id"))
	var out []string
	for _, p := range found {
		out = append(out, p.subject)
	}
	return page(c, slices.Compact(out)), err
}

func versionsOfID(c *registryCall) (any, error) {
	type subjectVersion struct {
		Subject string `json:"subject"`
		Version int    `json:"version"`
	}
	found, err := c.subjects.byID(c.Param("id"))
	var out []subjectVersion
	for _, p := range found {
		out = append(out, subjectVersion{p.subject, p.version})
	}
	return page(c, out), err
}

func listSubjects(c *registryCall) (any, error) {
	var out []string
	for i := range c.subjects {
		prefix := strings.TrimPrefix(c.Query("subjectPrefix"), ":.:")
		if strings.HasPrefix(c.subjects[i].name, prefix) && c.Query("deletedOnly") != "true" { // nothing is ever deleted
			out = append(out, c.subjects[i].name)
		}
	}
	return page(c, out), nil
}
