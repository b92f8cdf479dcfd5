package signin_test

import (
	"crypto"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"
)

func (e *engine) say(w http.ResponseWriter, status int, doc map[string]any) {
	kind := "application/ion+json; okta-version=1.0.0"
	if status >= 400 {
		kind = "application/json; okta-version=1.0.0"
	}
	w.Header().Set("Content-Type", kind)
	w.WriteHeader(status)
	json.NewEncoder(w).Encode(doc)
}

type m = map[string]any

func messages(key, text string) m {
	return m{"type": "array", "value": []m{{"message": text, "i18n": m{"key": key}, "class": "ERROR"}}}
}

// document is the envelope of where tx stands (idx-protocol §2, §3).
func (e *engine) document(tx *transaction) m {
	sh := m{"name": "stateHandle", "required": true, "value": tx.handle, "visible": false, "mutable": false}
	form := func(name, path string, fields ...m) m {
		return m{
			"rel": []string{"create-form"}, "name": name, "href": e.srv.URL + "/idp/idx/" + path, "method": "POST",
			"produces": "application/ion+json; okta-version=1.0.0", "accepts": "application/json; okta-version=1.0.0",
			"value": append(fields, sh),
		}
	}
	text := func(name, label string, more ...m) m {
		f := m{"name": name, "label": label, "required": true}
		for _, extra := range more {
			for k, v := range extra {
				f[k] = v
			}
		}
		return f
	}
	said := func(f m) m {
		if tx.message != "" {
			f["messages"] = messages(tx.message, "said by the engine")
		}
		return f
	}
	authenticator := func(key string) m {
		name := map[string]string{"okta_email": "Email", "okta_password": "Password", "okta_verify": "Okta Verify"}[key]
		kind := map[string]string{"okta_email": "email", "okta_password": "password", "okta_verify": "app"}[key]
		return m{"type": kind, "key": key, "id": "aut1" + key, "displayName": name, "methods": []m{{"type": kind}}}
	}
	var all []m
	option := func(key string) m {
		a := authenticator(key)
		all = append(all, a)
		return m{
			"label": a["displayName"], "relatesTo": fmt.Sprintf("$.authenticators.value[%d]", len(all)-1),
			"value": m{"form": m{"value": []m{{"name": "id", "required": true, "value": a["id"], "mutable": false}}}},
		}
	}
	list := func(name, path string, keys ...string) m {
		var options []m
		for _, k := range keys {
			options = append(options, option(k))
		}
		return form(name, path, m{"name": "authenticator", "type": "object", "options": options})
	}
	passcode := func(name, label string, secret bool) m {
		f := form(name, "challenge/answer", m{
			"name": "credentials", "type": "object", "required": true,
			"form": m{"value": []m{said(m{"name": "passcode", "label": label, "secret": secret})}},
		})
		f["relatesTo"] = []string{"$.currentAuthenticator"}
		return f
	}

	doc := m{
		"version": "1.0.0", "stateHandle": tx.handle, "intent": "LOGIN",
		"expiresAt": e.clock.Now().Add(time.Hour).UTC().Format(time.RFC3339),
		"cancel":    form("cancel", "cancel"),
		"app":       m{"type": "object", "value": m{"name": "oidc_client", "label": "Acme", "id": clientID}},
	}
	var remediations []m
	left := func() []string {
		var keys []string
		for _, k := range e.optional {
			if !strings.Contains(strings.Join(tx.enrolled, " "), k) {
				keys = append(keys, k)
			}
		}
		return keys
	}
	switch tx.step {
	case "identify":
		if tx.message != "" {
			doc["messages"] = messages(tx.message, "There is no account with the Username.")
		}
		remediations = append(remediations, form("identify", "identify", text("identifier", "Username")))
		if !e.closed {
			remediations = append(remediations, form("select-enroll-profile", "enroll"))
		}
	case "profile":
		remediations = append(remediations, form("enroll-profile", "enroll/new", m{"name": "userProfile", "form": m{"value": append([]m{
			text("firstName", "First name", m{"maxLength": 50}), text("lastName", "Last name", m{"maxLength": 50}), said(text("email", "Email")),
		}, e.asks...)}}), form("select-identify", "identify/select"))
	case "enroll-email", "challenge-email":
		name, other, path := "enroll-authenticator", "select-authenticator-enroll", "credential/enroll"
		if tx.step == "challenge-email" {
			name, other, path = "challenge-authenticator", "select-authenticator-authenticate", "challenge"
		}
		remediations = append(remediations, passcode(name, "Enter code", false), list(other, path, "okta_email"))
		current := authenticator("okta_email")
		current["resend"] = form("resend", "challenge/resend")
		poll := form("poll", "challenge/poll")
		poll["refresh"] = 2000
		current["poll"] = poll
		var ends time.Time
		for _, at := range tx.codes {
			if at.After(ends) {
				ends = at
			}
		}
		current["contextualData"] = m{"stile": m{
			"codeExpiresAt": ends.UTC().Format(time.RFC3339), "resendAt": tx.resendAt.UTC().Format(time.RFC3339),
			"triesLeft": max(0, 5-tx.tries), "delivery": e.delivery,
		}}
		doc["currentAuthenticator"] = m{"type": "object", "value": current}
	case "list":
		remediations = append(remediations, list("select-authenticator-enroll", "credential/enroll", left()...))
		if !e.required {
			remediations = append(remediations, form("skip", "skip"))
		}
	case "password":
		remediations = append(remediations, passcode("enroll-authenticator", "Enter password", true),
			list("select-authenticator-enroll", "credential/enroll", left()...))
		if !e.required {
			remediations = append(remediations, form("skip", "skip"))
		}
		current := authenticator("okta_password")
		current["settings"] = m{"complexity": m{"minLength": 8, "minNumber": 1, "excludeUsername": true}}
		doc["currentAuthenticator"] = m{"type": "object", "value": current}
	case "unknown":
		var f m
		if err := json.Unmarshal([]byte(e.unknown), &f); err != nil {
			e.t.Error(err)
		}
		f["href"], f["value"] = e.srv.URL+"/idp/idx/challenge/answer", append(f["value"].([]any), sh)
		remediations = append(remediations, f)
	case "transferred":
		delete(doc, "cancel")
		doc["messages"] = m{"type": "array", "value": []m{{"message": "Flow continued in a new tab.", "i18n": m{"key": "idx.transferred.to.new.tab"}, "class": "INFO"}}}
		return doc
	case "done":
		if tx.code == "" {
			tx.code = fmt.Sprintf("ic-%d", e.serial)
			e.codes[tx.code] = tx
		}
		doc["successWithInteractionCode"] = m{
			"rel": []string{"create-form"}, "name": "issue", "href": e.issuer() + "/v1/token", "method": "POST",
			"value": []m{{"name": "interaction_code", "required": true, "value": tx.code}},
		}
		return doc
	}
	doc["remediation"] = m{"type": "array", "value": remediations}
	doc["authenticators"] = m{"type": "array", "value": all}
	doc["user"] = m{"type": "object", "value": m{"id": "00u1", "identifier": tx.identifier}}
	return doc
}

func (e *engine) token(w http.ResponseWriter, form url.Values) {
	var tx *transaction
	switch form.Get("grant_type") {
	case "interaction_code":
		code := form.Get("interaction_code")
		if tx = e.codes[code]; tx == nil || e.redeemed[code] > 0 {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"invalid_grant","error_description":"The interaction code is invalid or has expired."}`)
			return
		}
		e.redeemed[code]++
	case "refresh_token":
		used, known := e.refresh[form.Get("refresh_token")]
		if !known || used {
			w.WriteHeader(400)
			io.WriteString(w, `{"error":"invalid_grant","error_description":"The refresh token is invalid or expired."}`)
			return
		}
		e.refresh[form.Get("refresh_token")] = true
		tx = &transaction{identifier: "ada@example.com", first: "Ada", last: "Lovelace"}
	}
	access := fmt.Sprintf("access-%d-%s", e.serial, strings.Repeat("x", 900))
	sum := sha256.Sum256([]byte(access))
	now := e.clock.Now()
	claims := m{
		"iss": e.issuer(), "aud": clientID, "sub": "00u1ada", "iat": now.Unix(), "exp": now.Add(time.Hour).Unix(),
		"auth_time": now.Unix(), "email": tx.identifier, "email_verified": true, "name": tx.first + " " + tx.last,
		"given_name": tx.first, "family_name": tx.last, "at_hash": base64.RawURLEncoding.EncodeToString(sum[:16]),
	}
	if tx.nonce != "" {
		claims["nonce"] = tx.nonce
	}
	out := m{
		"token_type": "Bearer", "expires_in": int(e.expires / time.Second), "scope": "openid profile email",
		"access_token": access, "id_token": sign(claims),
	}
	if e.offline {
		e.serial++
		token := fmt.Sprintf("refresh-%d", e.serial)
		e.refresh[token] = false
		out["refresh_token"] = token
	}
	json.NewEncoder(w).Encode(out)
}

func sign(claims m) string {
	part := func(v any) string {
		b, err := json.Marshal(v)
		if err != nil {
			panic(err)
		}
		return base64.RawURLEncoding.EncodeToString(b)
	}
	signed := part(m{"alg": "RS256", "kid": "k1"}) + "." + part(claims)
	sum := sha256.Sum256([]byte(signed))
	sig, err := rsa.SignPKCS1v15(rand.Reader, signingKey(), crypto.SHA256, sum[:])
	if err != nil {
		panic(err)
	}
	return signed + "." + base64.RawURLEncoding.EncodeToString(sig)
}
