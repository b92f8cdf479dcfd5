package account_test

import (
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/stile-id/stile/internal/app"
	"github.com/stile-id/stile/internal/limit"
	"github.com/stile-id/stile/internal/problem"
)

// Who has had all codes of a number and adds it again waits until the last of them is
// over, not for as long once more.
func TestAUTH_A14_AddedAgainAfterAllCodes(t *testing.T) {
	w := start(t, func(c *app.Config) {
		c.Policy.Offer("phone_number")
		c.Limits.Rules.Resends, c.Limits.Rules.ResendAfter = 2, []time.Duration{30 * time.Second}
	})
	who := w.person("vera@example.com")
	add := func() error {
		_, err := w.Account.AddPhone(t.Context(), w.fresh(who), "+12025550100", "sms", true)
		return err
	}
	for n := range 3 {
		if err := add(); err != nil {
			t.Fatalf("code %d: %v", n, err)
		}
		w.advance(time.Minute)
	}
	w.advance(4 * time.Minute)
	var p *problem.Error
	if err := add(); !errors.As(err, &p) || p.Kind != problem.Throttled || p.RetryAfter > 5*time.Minute || p.RetryAfter < 4*time.Minute {
		t.Fatalf("%v, want to be told to wait for five minutes", err)
	}
	w.advance(p.RetryAfter)
	if err := add(); err != nil {
		t.Error(err)
	}
	if all, err := w.Account.Phones(t.Context(), w.fresh(who)); err != nil || len(all) != 1 || all[0].Verified {
		t.Errorf("%+v, %v", all, err)
	}
}

// Numbers of one country that are added leave those of others theirs.
func TestSEC_S53_CapOfACountry(t *testing.T) {
	w := start(t, func(c *app.Config) {
		c.Policy.Offer("phone_number")
		c.Limits.Rules.CountryTexts = limit.Volume{{N: 4, Per: 24 * time.Hour}} // half of them before they are anybody's
		c.Limits.Rules.Texts = limit.Volume{{N: 100, Per: 24 * time.Hour}}
	})
	for i, x := range []struct {
		number  string
		refused bool
	}{{"+12025550100", false}, {"+12025550101", false}, {"+12025550102", true}, {"+16135550100", false}} {
		who := w.person(fmt.Sprintf("p%d@example.com", i))
		_, err := w.Account.AddPhone(t.Context(), w.fresh(who), x.number, "sms", true)
		if refused := problem.KindOf(err) == problem.Forbidden; refused != x.refused || err != nil && !refused {
			t.Errorf("%s: %v", x.number, err)
		}
	}
}
