//go:build live && e2e

package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"net"
	"net/http"
	"net/url"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/chuanyu-exchange/hub/schemas"
	"github.com/chuanyu-exchange/hub/schemas/avro"
	"github.com/chuanyu-exchange/hub/schemas/evolve"
)

// externalRegistry starts Apicurio Registry, which keeps all in memory, and
// returns the address of its Confluent API.
func externalRegistry(t *testing.T) string {
	t.Helper()
	java := need(t, "java", "openjdk-17-jdk-headless")
	jars, err := filepath.Glob("../../.clients/jars/registry/apicurio-registry-app-*-runner.jar")
	if err != nil || len(jars) != 1 {
		t.Fatalf("the registry is not here: `make clients`; %v", err)
	}
	var config net.ListenConfig
	l, err := config.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	at := l.Addr().(*net.TCPAddr)
	_ = l.Close()
	ctx, cancel := context.WithCancel(context.Background())
	var log bytes.Buffer
	cmd := exec.CommandContext(ctx, java, "-Xmx400m", "-Dquarkus.http.host=127.0.0.1", fmt.Sprintf("-Dquarkus.http.port=%d", at.Port), "-jar", jars[0])
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	var end error
	ended := make(chan struct{})
	go func() { end = cmd.Wait(); close(ended) }()
	t.Cleanup(func() { cancel(); <-ended })
	address := fmt.Sprintf("http://%s/apis/ccompat/v7", at)
	var subjects []string
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(200 * time.Millisecond) {
		if err = ask(t, address+"/subjects", &subjects); err == nil {
			return address
		}
		select {
		case <-ended:
			t.Fatalf("the registry ended: %v\n%s", end, log.String())
		default:
		}
		if time.Now().After(deadline) {
			cancel()
			<-ended // what it wrote is whole now
			t.Fatalf("the registry does not serve: %v\n%s", err, log.String())
		}
	}
}

func ask(t *testing.T, address string, into any) error {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, address, nil)
	if err != nil {
		return err
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = res.Body.Close() }()
	if res.StatusCode != http.StatusOK {
		return fmt.Errorf("%s: %s", address, res.Status)
	}
	return json.NewDecoder(res.Body).Decode(into)
}

// The whole road with the ids of a registry that is not ours: it is given our
// schemas, gives each one id in both provinces, and the records that carry
// these ids are read, redacted and verified as ever; what is registered once is
// found the next time.
func TestLiveExternalRegistry(t *testing.T) {
	address := externalRegistry(t)
	t.Setenv("SCHEMA_REGISTRY_URL", address)
	set, err := schemas.Shipped()
	if err != nil {
		t.Fatal(err)
	}
	ids := map[string]int{}
	for round := range 2 {
		if s := once(t, "--rows", "40"); !s.OK {
			t.Fatalf("%+v", s)
		}
		var subjects []string
		if err := ask(t, address+"/subjects", &subjects); err != nil || len(subjects) < 26 {
			t.Fatalf("%q, %v", subjects, err)
		}
		for _, name := range subjects {
			var there struct {
				ID, Version int
				Schema      string
			}
			if err := ask(t, address+"/subjects/"+url.PathEscape(name)+"/versions/latest", &there); err != nil {
				t.Fatal(err)
			}
			parsed, err := avro.Parse([]byte(there.Schema))
			if err != nil {
				t.Fatal(err)
			}
			short := parsed.Name
			ours, known := byName(set, short)
			if !known || len(evolve.Diff(ours.Type, parsed)) > 0 || there.Version != 1 {
				t.Errorf("%s, version %d, holds another schema than ours: %s", name, there.Version, short)
			}
			if id, seen := ids[short]; seen && id != there.ID {
				t.Errorf("round %d: %s has the ids %d and %d", round, short, id, there.ID)
			}
			ids[short] = there.ID
		}
	}
	same := 0
	for name, id := range ids {
		if ours, _ := byName(set, name); int(ours.ID) == id {
			same++
		}
	}
	if same == len(ids) {
		t.Error("it gave the very ids of the lock file: this shows nothing")
	}
}

// byName finds the schema of a record's full name.
func byName(set *schemas.Set, full string) (*schemas.Schema, bool) {
	for _, s := range set.All() {
		if s.Type.Name == full {
			return s, true
		}
	}
	return nil, false
}
