package signin

import (
	"errors"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/stile-id/stile/idx"
)

// A news item is what poll tells the page's script.
type news struct {
	Go       string `json:"go,omitempty"`       // address to go on to
	Delivery string `json:"delivery,omitempty"` // of the mail
	Notice   string `json:"notice,omitempty"`   // about the delivery
	Stop     bool   `json:"stop,omitempty"`     // nothing more will come
	Wait     int    `json:"wait,omitempty"`     // milliseconds until the next poll, at least
}

// poll tells a waiting page whether its step was done elsewhere (UX P3.12). It is a
// POST, because finding that out may sign the person in.
func (p *Pages) poll(v *visit) *answer {
	f, ok := v.flow(v.form("flow"))
	if !ok {
		return v.json(news{Go: p.to("step", "flow", v.form("flow"))})
	}
	if turn, err := strconv.Atoi(v.form("turn")); f.Done || err != nil || turn != f.Turn {
		return v.json(news{Go: p.onward(v, f)})
	}
	var tx idx.Transaction
	if err := tx.UnmarshalText([]byte(f.Tx)); err != nil {
		return v.json(news{Go: p.onward(v, f)})
	}
	waiting := v.form("step") // for a phone; "" is for a mail
	if strings.HasSuffix(waiting, " phone") {
		return p.textNews(v, f) // the protocol has no poll there
	}
	next, err := p.client.Poll(v.ctx, &tx)
	switch {
	case errors.Is(err, idx.ErrNotOffered) && waiting != "":
		// It waits no more; what comes next says whether that is because of the phone.
		if next, err = p.client.Resume(v.ctx, f.Tx); err == nil && next.Status == idx.StatusPending {
			if a := p.added(v, f, waiting, next.NextStep); a != nil {
				return v.json(news{Go: a.header.Get("Location")})
			}
		}
		return v.json(news{Go: p.onward(v, f)})
	case gone(err), errors.Is(err, idx.ErrNotOffered):
		return v.json(news{Go: p.onward(v, f)})
	case err != nil:
		return v.json(news{Wait: int(max(10*time.Second, waitOf(err)) / time.Millisecond)})
	case next.Status == idx.StatusSuccess:
		a := p.finish(v, f, next.Tokens)
		if a.status != http.StatusSeeOther {
			return a
		}
		return v.json(news{Go: a.header.Get("Location")})
	case next.NextStep == nil, waiting == "" && kindOf(next.NextStep) != codeStep, waiting != "" && placeOf(next.NextStep) != waiting:
		return v.json(news{Go: p.onward(v, f)})
	}
	if waiting != "" {
		return v.json(news{Wait: int(next.RetryAfter / time.Millisecond)})
	}
	out := news{Delivery: deliveryOf(next.NextStep).Status}
	if next.RetryAfter > 0 {
		out.Wait = int(next.RetryAfter / time.Millisecond)
	}
	if out.Delivery != v.form("delivery") && slices.Contains([]string{"sent", "delayed", "refused", "expired"}, out.Delivery) {
		out.Notice = v.words.T("delivery."+out.Delivery, "address", p.addressOf(f, next))
	}
	return v.json(out)
}

// onward is where a page goes that has become old.
func (p *Pages) onward(v *visit, f *flow) string {
	if s, _ := p.session(v); f.Done && s != nil {
		return p.destination(f)
	}
	return p.to("step", "flow", f.ID)
}

func deliveryOf(s *idx.NextStep) idx.Delivery {
	if s == nil || s.Authenticator == nil || s.Authenticator.Delivery == nil {
		return idx.Delivery{TriesLeft: -1}
	}
	return *s.Authenticator.Delivery
}
