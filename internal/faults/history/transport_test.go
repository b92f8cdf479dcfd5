package history

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
)

// A server never sees a request that the journal does not have.
func TestTransportWritesFirst(t *testing.T) {
	name := filepath.Join(t.TempDir(), "journal")
	j, err := Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer j.Close()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		calls, err := Read(name)
		if err != nil || len(calls) == 0 || calls[len(calls)-1].Path != r.URL.Path || calls[len(calls)-1].Lost == "" {
			t.Errorf("%s arrives, and the journal has %+v, %v", r.URL.Path, calls, err)
		}
		switch r.URL.Path {
		case "/idp/idx/enroll/new":
			fmt.Fprint(w, `{"stateHandle":"02.id.tx1.mac","remediation":{"value":[{"name":"enroll-authenticator","value":[]}]},"user":{"value":{"id":"u1"}}}`)
		case "/idp/idx/challenge/answer":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"stateHandle":"02.id.tx1.mac","remediation":{"value":[{"name":"enroll-authenticator","value":[{"messages":{}}]}]}}`)
		case "/idp/idx/skip":
			fmt.Fprint(w, `{"stateHandle":"02.id.tx1.mac","successWithInteractionCode":{"value":[{"name":"interaction_code","required":true,"value":"ic.tx1.mac"}]}}`)
		case "/v1/token":
			fmt.Fprint(w, `{"access_token":"a","refresh_token":"r","id_token":"i"}`)
		default:
			panic(http.ErrAbortHandler)
		}
	}))
	defer server.Close()
	c := &http.Client{Transport: &Transport{Journal: j, Client: "c1", Base: http.DefaultTransport}}
	for _, q := range []struct{ path, contentType, body string }{
		{"/idp/idx/enroll/new", "application/json", `{"stateHandle":"02.id.tx1.mac","userProfile":{"email":"ada@example.com"}}`},
		{"/idp/idx/challenge/answer", "application/json", `{"stateHandle":"02.id.tx1.mac","credentials":{"passcode":"123456"}}`},
		{"/idp/idx/skip", "application/json", `{"stateHandle":"02.id.tx1.mac"}`},
		{"/v1/token", "application/x-www-form-urlencoded", "grant_type=interaction_code&interaction_code=ic.tx1.mac"},
		{"/v1/revoke", "application/x-www-form-urlencoded", "token=r"},
	} {
		res, err := c.Post(server.URL+q.path, q.contentType, strings.NewReader(q.body))
		if err != nil {
			continue // the last of them
		}
		if data, err := io.ReadAll(res.Body); err != nil || len(data) == 0 {
			t.Errorf("%s: the client gets %q, %v", q.path, data, err)
		}
		res.Body.Close()
	}
	const handle = "02.id.tx1.mac"
	want := []Call{
		{Request: Request{Path: "/idp/idx/enroll/new", Handle: handle, Address: "ada@example.com"}, Answer: Answer{Status: 200, Handle: handle, Stage: Asked, User: "u1"}},
		{Request: Request{Path: "/idp/idx/challenge/answer", Handle: handle, Passcode: "123456"},
			Answer: Answer{Status: 401, Error: "at a field of enroll-authenticator", Handle: handle, Stage: Asked}},
		{Request: Request{Path: "/idp/idx/skip", Handle: handle}, Answer: Answer{Status: 200, Handle: handle, Stage: Finished, Code: "ic.tx1.mac"}},
		{Request: Request{Path: "/v1/token", Grant: "interaction_code", Secret: "ic.tx1.mac"}, Answer: Answer{Status: 200, Access: "a", Refresh: "r", ID: "i"}},
		{Request: Request{Path: "/v1/revoke", Secret: "r"}, Answer: Answer{Lost: "EOF"}},
	}
	for i := range want {
		want[i].N, want[i].Client, want[i].Method = int64(i+1), "c1", "POST"
	}
	got, err := Read(name)
	if diff := cmp.Diff(want, got, cmpopts.IgnoreFields(Request{}, "At"), cmpopts.IgnoreFields(Answer{}, "Took")); err != nil || diff != "" {
		t.Errorf("%v\n%s", err, diff)
	}
}
