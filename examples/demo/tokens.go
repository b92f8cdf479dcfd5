package demo

import (
	"encoding/base64"
	"strconv"
	"strings"
	"time"
)

// A token is shown in plain words, as the JSON inside it, and as it is.
type token struct {
	ID, Title, About string
	Rows             []row
	Header, Claims   string // JSON; empty where the token is opaque
	Raw              string
}

// A row is a claim in words.
type row struct {
	Label, Name string
	Items       []item
	At          *moment
}

type item struct{ Value, Words string }

type moment struct{ ISO, Date, Away string }

// wording gives the claims that matter, in the order in which one asks.
var wording = []struct {
	name, id, access string // what it is called for an ID token and an access token
}{
	{"iss", "Issued by", "Issued by"},
	{"aud", "For the app", "For the API"},
	{"cid", "", "Given to the app"},
	{"sub", "About the person", "About the person"},
	{"amr", "Proven by", "Proven by"},
	{"scp", "", "Allows"},
	{"auth_time", "Signed in", "Signed in"},
	{"iat", "Issued", "Issued"},
	{"exp", "Good until", "Good until"},
}

// meanings of values: scopes (OpenID Connect Core §5.4, §11) and methods (RFC 8176).
var meanings = map[string]map[string]string{
	"scp": {
		"openid": "to know who signed in", "profile": "to read the name", "email": "to read the address",
		"offline_access": "to get new tokens while they are away",
	},
	"amr": {
		"otp": "a one-time code or link", "pwd": "a password", "mfa": "more than one factor", "sms": "a text message",
		"hwk": "a key in a device", "swk": "a key in an app", "pop": "a key",
	},
}

// decode takes a JWT apart. It proves nothing: the tokens were verified when they came.
func decode(raw string) (header, claims *node) {
	parts := strings.Split(raw, ".")
	if len(parts) != 3 {
		return nil, nil
	}
	var read [2]*node
	for i := range read {
		b, err := base64.RawURLEncoding.DecodeString(parts[i])
		if err != nil {
			return nil, nil
		}
		if read[i], err = parseJSON(b); err != nil || read[i].kind != object {
			return nil, nil
		}
	}
	return read[0], read[1]
}

func idToken(raw string, now time.Time) token {
	t := token{ID: "id-token", Title: "ID token", About: "Tells this app who signed in, and how.", Raw: raw}
	t.read(now, false)
	return t
}

func accessToken(raw string, now time.Time) token {
	t := token{ID: "access-token", Title: "Access token", About: "Lets this app call APIs for the person.", Raw: raw}
	t.read(now, true)
	return t
}

func (t *token) read(now time.Time, access bool) {
	header, claims := decode(t.Raw)
	if claims == nil {
		return
	}
	t.Header, t.Claims = header.pretty(48), claims.pretty(48)
	for _, w := range wording {
		label := w.id
		if access {
			label = w.access
		}
		v := claims.get(w.name)
		if v == nil || label == "" {
			continue
		}
		r := row{Label: label, Name: w.name}
		if s, err := strconv.ParseInt(v.text, 10, 64); err == nil && v.kind == scalar {
			r.At = momentOf(time.Unix(s, 0), now)
		} else {
			r.Items = items(v, meanings[w.name])
		}
		t.Rows = append(t.Rows, r)
	}
}

func items(v *node, words map[string]string) []item {
	switch v.kind {
	case array:
		var all []item
		for _, m := range v.members {
			all = append(all, items(m.value, words)...)
		}
		return all
	case object:
		return []item{{Value: v.pretty(48)}}
	}
	return []item{{v.text, words[v.text]}}
}

func momentOf(t, now time.Time) *moment {
	t = t.UTC()
	return &moment{ISO: t.Format(time.RFC3339), Date: t.Format("2 Jan 2006, 15:04:05 UTC"), Away: away(t.Sub(now))}
}

// away says how far off a time is: "in 58 minutes", "12 seconds ago".
func away(d time.Duration) string {
	units := []struct {
		d    time.Duration
		name string
	}{{24 * time.Hour, "day"}, {time.Hour, "hour"}, {time.Minute, "minute"}, {time.Second, "second"}}
	for _, u := range units {
		n := int(d.Abs() / u.d)
		// Up to 90 of the smaller unit say more than one of the larger.
		if n == 0 || n == 1 && u.name != "second" && d.Abs() < u.d*3/2 {
			continue
		}
		s := strconv.Itoa(n) + " " + u.name
		if n != 1 {
			s += "s"
		}
		if d < 0 {
			return s + " ago"
		}
		return "in " + s
	}
	return "now"
}
