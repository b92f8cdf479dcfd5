package config

import (
	"strings"
	"testing"
)

// A variable that nothing reads is a setting that somebody has misspelt: without it the
// engine would run with another.
func TestServeVariables(t *testing.T) {
	for name, c := range map[string]struct{ environ, want string }{ // variables by line; a fault, or none
		"misspelt":             {"STILE_TRUSTED_PROXY=10.0.0.0/8", "STILE_TRUSTED_PROXY: there is no such setting"},
		"empty":                {"STILE_LOGLEVEL=", "STILE_LOGLEVEL: there is no such setting"},
		"in another case":      {"STILE_Log_Level=info", "STILE_Log_Level: there is no such setting; write STILE_LOG_LEVEL"},
		"no secret":            {"STILE_MAIL_FROM_FILE=/x", "STILE_MAIL_FROM_FILE: there is no such setting, as STILE_MAIL_FROM is no secret; write that"},
		"a flag alone":         {"STILE_CHECK=1", "STILE_CHECK: there is no such setting"},
		"a port":               {"STILE_PORT=9000", "STILE_PORT: there is no such setting"},
		"several":              {"STILE_B=1\nSTILE_A=1", "STILE_A: there is no such setting\n  STILE_B: there is no such setting"},
		"a setting":            {"STILE_LOG_LEVEL=warn\nSTILE_CODE_IN_SUBJECT=", ""},
		"of stile dev":         {"STILE_CLIENT_ID=x\nSTILE_DEBUG=1\nSTILE_APP_LISTEN=off", ""},
		"of the demo app":      {"STILE_ISSUER=x\nSTILE_REDIRECT_URI=x\nSTILE_INBOX=x\nSTILE_CLIENT_SECRET=x", ""},
		"of tests":             {"STILE_TEST_LONG=1\nSTILE_TEST_COMMAND=1", ""},
		"of somebody else":     {"PATH=/bin\nSTILETTO=1\nSTILE=x\nstile_x=y", ""},
		"of Kubernetes":        {"STILE_SERVICE_HOST=10.0.0.1\nSTILE_SERVICE_PORT=80\nSTILE_SERVICE_PORT_HTTP=80\nSTILE_PORT=tcp://10.0.0.1:80\nSTILE_PORT_80_TCP=tcp://10.0.0.1:80\nSTILE_PORT_80_TCP_ADDR=10.0.0.1", ""},
		"of another service":   {"STILE_DB_SERVICE_HOST=10.0.0.2\nSTILE_DB_PORT_5432_TCP_PORT=5432\nSTILE_DB_PORT=tcp://10.0.0.2:5432", ""},
		"secrets are not told": {"STILE_SMPT=smtp://user:sesame@host", "STILE_SMPT: there is no such setting"},
	} {
		t.Run(name, func(t *testing.T) {
			variables := map[string]string{}
			for line := range strings.SplitSeq(c.environ, "\n") {
				name, value, _ := strings.Cut(line, "=")
				variables[name] = value
			}
			_, wrong := load(t, Serve{}, enough, variables)
			if c.want == "" && wrong != "" || !strings.Contains(wrong, c.want) || strings.Contains(wrong, "sesame") {
				t.Errorf("%q, want %q", wrong, c.want)
			}
		})
	}
}
