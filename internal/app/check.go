package app

import (
	"context"
	"crypto/tls"
	"errors"
	"io/fs"
	netmail "net/mail"
	"os"
	"strings"
	"time"

	"github.com/stile-id/stile/internal/authenticator/phone"
	"github.com/stile-id/stile/internal/config"
	"github.com/stile-id/stile/internal/mail"
	"github.com/stile-id/stile/internal/store/postgres"
	"github.com/stile-id/stile/internal/telephony"
	"github.com/stile-id/stile/internal/webpush"
)

// checkFiles notes what is wrong with settings that only their users understand,
// and with the files that they name. It opens nothing else.
func checkFiles(t *config.Settings, f *config.Faults) {
	checkMail(t, f)
	checkPhones(t, f)
	checkWebPush(t, f)
	if info, err := os.Stat(t.Data); err == nil && !info.IsDir() {
		f.Add("data", "%s is not a folder", t.Data)
	} else if err == nil && info.Mode().Perm()&0o007 != 0 {
		f.Add("data", "others can enter %s; run: chmod o-rwx %s", t.Data, t.Data)
	} else if err != nil && !errors.Is(err, fs.ErrNotExist) {
		f.Add("data", "%v", err)
	}
	_, err := readMasterKey(t.MasterKeyFile)
	switch {
	case errors.Is(err, fs.ErrNotExist) && !t.MakeMasterKey:
		f.Add("master_key_file", "there is no %s; if this is the first start, add --make-master-key, else bring back the one that the database was begun with", t.MasterKeyFile)
	case err != nil && !errors.Is(err, fs.ErrNotExist):
		f.Add("master_key_file", "%s", strings.TrimPrefix(err.Error(), "master key: "))
	}
	if t.TLSCert == "" || t.TLSKey == "" {
		return
	}
	if info, err := os.Stat(t.TLSKey); err == nil && info.Mode().Perm()&0o007 != 0 {
		f.Add("tls_key", "others can read %s; run: chmod o-rwx %s", t.TLSKey, t.TLSKey)
	}
	if _, err := tls.LoadX509KeyPair(t.TLSCert, t.TLSKey); err != nil {
		f.Add("tls_cert", "%v", err)
	}
}

func checkMail(t *config.Settings, f *config.Faults) {
	for i, u := range t.SMTP {
		if s, err := mail.NewSMTP(u, mail.SMTPOptions{}); err != nil { // which tells no password
			f.Add(config.RelayKeys[i], "%s", strings.TrimPrefix(err.Error(), "mail: "))
		} else {
			_ = s.Close()
		}
	}
	for _, setting := range [][2]string{{"mail_from", t.MailFrom}, {"mail_reply_to", t.MailReplyTo}} {
		key, address := setting[0], setting[1]
		if address == "" {
			continue
		}
		a, err := netmail.ParseAddress(address)
		if err == nil {
			_, err = mail.NewComposer(mail.Config{From: *a})
		}
		if err != nil || key == "mail_reply_to" && a.Address != address {
			f.Add(key, "%q is not an address that mail can have", address)
		}
	}
}

// checkPhones reads the gateway's description, and refuses what its user would.
func checkPhones(t *config.Settings, f *config.Faults) {
	if t.TelephonyHook != "" && t.TelephonyHookSecret != "" {
		if _, err := telephony.NewHook(t.TelephonyHook, t.TelephonyHookSecret, time.Now); err != nil {
			f.Add("telephony_hook", "%s", strings.TrimPrefix(err.Error(), "telephony: hook: "))
		}
	}
	if t.TelephonyGateway != "" {
		var g *telephony.Gateway
		data, err := os.ReadFile(t.TelephonyGateway)
		if err == nil {
			g, err = telephony.NewGateway(data, t.TelephonyGatewaySecret)
		}
		for _, m := range t.PhoneMethods {
			if err == nil && t.TelephonyHook == "" && !g.Can(m) {
				f.Add("phone_methods", "telephony_gateway does not say how to do %s", m)
			}
		}
		if err != nil {
			f.Add("telephony_gateway", "%s", strings.TrimPrefix(err.Error(), "telephony: gateway: "))
		}
		t.TelephonyCalls = data
	}
	if err := phone.CheckCountries(t.PhoneCountries); err != nil {
		f.Add("phone_countries", "%s", strings.TrimPrefix(err.Error(), "phone: "))
	}
}

// checkWebPush refuses a key, a subject or hosts that nothing could be sent with.
func checkWebPush(t *config.Settings, f *config.Faults) {
	tell := func(key string, err error) {
		if err != nil { // none of them tells a key
			f.Add(key, "%s", strings.TrimPrefix(err.Error(), "webpush: "))
		}
	}
	if t.WebPushKey == "" || t.WebPushSubject == "" {
		return
	}
	_, err := webpush.ParseKey(t.WebPushKey)
	tell("web_push_key", err)
	tell("web_push_subject", webpush.CheckSubject(t.WebPushSubject))
	for _, h := range t.WebPushHosts {
		if err := webpush.CheckHost(h); err != nil {
			f.Add("web_push_hosts", "%q is %s", h, strings.TrimPrefix(err.Error(), "webpush: "))
		}
	}
}

// connect tries what --connect asks for: PostgreSQL and the SMTP servers.
func connect(ctx context.Context, t *config.Settings, f *config.Faults) error {
	ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
	defer cancel()
	if t.Database != "" {
		if err := postgres.Try(ctx, t.Database); err != nil {
			f.Add("database", "%v", err)
		}
	}
	for i, u := range t.SMTP {
		s, err := mail.NewSMTP(u, mail.SMTPOptions{})
		if err == nil {
			err = errors.Join(s.Try(ctx), s.Close())
		}
		if err != nil {
			f.Add(config.RelayKeys[i], "%v", err)
		}
	}
	return f.Err()
}
