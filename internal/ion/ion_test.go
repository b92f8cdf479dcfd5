package ion

import (
	"errors"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

func TestDecode(t *testing.T) {
	deep := strings.Repeat(`{"a":`, 17) + `1` + strings.Repeat(`}`, 17)
	for _, c := range []struct {
		name, in string
		want     map[string]string
		arrays   []string
		bad      bool
	}{
		{name: "nested", in: `{"userProfile":{"firstName":"Ada","email":"a@b.example"},"stateHandle":"x"}`,
			want: map[string]string{"userProfile.firstName": "Ada", "userProfile.email": "a@b.example", "stateHandle": "x"}},
		{name: "number keeps its text", in: `{"credentials":{"passcode":123456}}`, want: map[string]string{"credentials.passcode": "123456"}},
		{name: "bool and null", in: `{"rememberMe":true,"x":null}`, want: map[string]string{"rememberMe": "true"}},
		{name: "array is read over", in: `{"identifier":["a",{"b":1},[2]],"stateHandle":"x"}`,
			want: map[string]string{"stateHandle": "x"}, arrays: []string{"identifier"}},
		{name: "empty", in: `{}`, want: map[string]string{}},
		{name: "repeated key", in: `{"a":1,"a":2}`, bad: true},
		{name: "trailing data", in: `{} {}`, bad: true},
		{name: "not an object", in: `[1]`, bad: true},
		{name: "no body", in: ``, bad: true},
		{name: "cut", in: `{"a":{"b":1}`, bad: true},
		{name: "too deep", in: deep, bad: true},
		{name: "sixteen levels", in: strings.Repeat(`{"a":`, 16) + `1` + strings.Repeat(`}`, 16),
			want: map[string]string{strings.Repeat("a.", 15) + "a": "1"}},
		{name: "too deep in arrays", in: `{"a":` + strings.Repeat(`[`, 20) + strings.Repeat(`]`, 20) + `}`, bad: true},
		{name: "too many", in: `{"a":[` + strings.Repeat(`1,`, 1000) + `1]}`, bad: true},
		{name: "long key", in: `{"` + strings.Repeat("k", 65) + `":1}`, bad: true},
		{name: "long path", in: strings.Repeat(`{"`+strings.Repeat("k", 60)+`":`, 5) + `1` + strings.Repeat(`}`, 5), bad: true},
		{name: "dotted twin of a path", in: `{"userProfile.email":"a","userProfile":{"email":"b"}}`, bad: true},
		{name: "not UTF-8", in: "{\"a\":\"\xff\"}", bad: true},
	} {
		t.Run("SEC_S135 "+c.name, func(t *testing.T) {
			got, err := Decode([]byte(c.in))
			if c.bad {
				if !errors.Is(err, ErrBody) {
					t.Fatalf("err = %v, want ErrBody", err)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(Body{Values: c.want, Arrays: c.arrays}, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func FuzzDecode(f *testing.F) {
	for _, s := range []string{`{"stateHandle":"x","credentials":{"passcode":"1"}}`, `{"a":[{"b":[1]}]}`, `{"a":1,"a":2}`, `{`, "\xff"} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		b, err := Decode(data)
		if err != nil {
			if !errors.Is(err, ErrBody) {
				t.Fatalf("%v is not ErrBody", err)
			}
			return
		}
		if len(b.Values) > maxKeys {
			t.Fatalf("%d values", len(b.Values))
		}
	})
}
