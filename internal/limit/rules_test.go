package limit

import (
	"reflect"
	"testing"
	"time"
)

// The numbers of the specification's policy block, again.
func TestSEC_U_DefaultRules(t *testing.T) {
	g := Guesses{
		Windows:  []Window{{10, 15 * time.Minute}, {30, 24 * time.Hour}},
		CoolDown: time.Minute, CoolDownMax: 60 * time.Minute, Consecutive: 100,
	}
	want := Rules{
		CodeTries: 5, KilledCodes: 3, Resends: 5, Numbers: 3,
		ResendAfter:     []time.Duration{30 * time.Second, 60 * time.Second},
		HandleRequests:  Volume{{10, 5 * time.Second}},
		Code:            g,
		Password:        g,
		ForgetNobody:    30 * 24 * time.Hour,
		UserRequests:    Volume{{20, 5 * time.Second}},
		AddressMails:    Volume{{5, 15 * time.Minute}, {10, time.Hour}, {20, 24 * time.Hour}},
		NumberTexts:     Volume{{5, time.Hour}},
		AccountNewTexts: Volume{{8, time.Hour}, {20, 24 * time.Hour}},
		CountryTexts:    Volume{{500, 24 * time.Hour}},
		Texts:           Volume{{1000, 24 * time.Hour}},
		Pushes:          Volume{{3, 5 * time.Minute}, {20, 24 * time.Hour}},
		SourceWrong:     Volume{{60, time.Hour}},
		NetworkWrong:    Volume{{600, time.Hour}},
		SourceMails:     Volume{{30, time.Hour}},
		SourceAddresses: Distinct{10, time.Hour},
		OpenFlows:       Volume{{600, time.Hour}},
		SignUps:         Volume{{20, time.Hour}},
		Spray:           Guard{5 * time.Minute, 1000, time.Hour, 20, time.Hour},
	}
	if got := DefaultRules(); !reflect.DeepEqual(got, want) {
		t.Fatalf("\n%+v, want\n%+v", got, want)
	}
}

// Of what a number gets, one is kept for who has it.
func TestSEC_S53_NewNumberTexts(t *testing.T) {
	for n, want := range map[int]int{5: 4, 2: 1, 1: 1, 0: 0} {
		r := Rules{NumberTexts: Volume{{n, time.Hour}}}
		if got := r.NewNumberTexts(); len(got) != 2 || got[1].N != 10 || got[0].N != want || got[0].Per != time.Hour {
			t.Errorf("%d: %v", n, got)
		}
	}
	if got := (Rules{}).NewNumberTexts(); !got.Off() {
		t.Errorf("no limit becomes %v", got)
	}
}

func TestDevelopmentHasNoLimitAcrossFlows(t *testing.T) {
	r := DevelopmentRules()
	if r.CodeTries != 5 || r.KilledCodes != 3 || r.Resends != 5 {
		t.Errorf("a flow's own limits are off: %+v", r)
	}
	if r.ResendWait(1) != 0 {
		t.Error("a resend has to wait")
	}
	if !r.Code.Off() || !r.Password.Off() || !r.SourceAddresses.Off() || !r.Spray.Off() {
		t.Error("guessing across flows is limited")
	}
	for _, v := range []Volume{r.HandleRequests, r.UserRequests, r.AddressMails, r.SourceWrong, r.NetworkWrong, r.SourceMails, r.OpenFlows, r.SignUps, r.NumberTexts, r.Texts, r.Pushes} {
		if !v.Off() {
			t.Errorf("%v holds", v)
		}
	}

	// What is off admits everything and keeps nothing.
	c := Counter{Key: "k"}
	for range 1000 {
		var ok, paused bool
		if c, paused = r.Code.Wrong(c, epoch); paused {
			t.Fatal("paused")
		}
		if c, _, ok = r.AddressMails.Spend(c, epoch); !ok {
			t.Fatal("refused")
		}
		if c, _, ok = r.SourceAddresses.Spend(c, epoch, 1); !ok {
			t.Fatal("refused")
		}
		if c, paused = r.Spray.Wrong(c, epoch, 1); paused {
			t.Fatal("alarm")
		}
	}
	if _, open := r.Code.Open(c, epoch); !open || len(c.Data) != 0 {
		t.Fatalf("kept %x", c.Data)
	}
}

func TestSEC_S10_ResendWait(t *testing.T) {
	r := DefaultRules()
	for n, want := range []time.Duration{0, 30 * time.Second, time.Minute, time.Minute, time.Minute} {
		if got := r.ResendWait(n); got != want {
			t.Errorf("after %d mails %v, want %v", n, got, want)
		}
	}
}
