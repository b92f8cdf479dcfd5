package config

import (
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"net/url"
	"path/filepath"
	"strings"
	"time"
)

// Serve holds the settings of `stile serve` as they are written down. A setting
// has one name: in the file public_url, as a variable STILE_PUBLIC_URL, as a
// flag --public-url. docs/operations.md has a row for each.
type Serve struct {
	PublicURL      string   `name:"public-url" env:"STILE_PUBLIC_URL" placeholder:"URL" help:"Address of the engine as browsers see it, https://host. Needed."`
	Listen         string   `name:"listen" env:"STILE_LISTEN" placeholder:"HOST:PORT" help:"Where the engine listens (localhost:9000)."`
	Hosts          []string `name:"hosts" env:"STILE_HOSTS" placeholder:"NAME" help:"Names under which requests may come beside that of the public URL, as of an internal network, separated by commas."`
	TLSCert        string   `name:"tls-cert" env:"STILE_TLS_CERT" placeholder:"FILE" help:"Certificate chain, to answer in TLS without a proxy."`
	TLSKey         string   `name:"tls-key" env:"STILE_TLS_KEY" placeholder:"FILE" help:"Its private key, readable by the engine alone."`
	TrustedProxies []string `name:"trusted-proxies" env:"STILE_TRUSTED_PROXIES" placeholder:"ADDRESS" help:"Proxies whose X-Forwarded-For is believed: addresses or networks, separated by commas."`

	Data                string `name:"data" env:"STILE_DATA" placeholder:"DIR" help:"Folder of the SQLite database, the master key and the operators' socket (/var/lib/stile)."`
	Database            string `name:"database" env:"STILE_DATABASE" secret:"" placeholder:"URL" help:"PostgreSQL that everything is kept in: postgres://user:password@host/name. Default: SQLite in --data."`
	DatabaseConnections string `name:"database-connections" env:"STILE_DATABASE_CONNECTIONS" placeholder:"N" help:"How many connections to PostgreSQL this node opens at most, from 2 to 100. Default: two for each processor, of 4 to 20."`
	QuickCheck          string `name:"quick-check" env:"STILE_QUICK_CHECK" placeholder:"BOOL" help:"Whether the SQLite file is looked through for damage at start (true)."`
	MasterKeyFile       string `name:"master-key-file" env:"STILE_MASTER_KEY_FILE" placeholder:"FILE" help:"The master key, readable by the engine alone (master.key in --data)."`

	SMTP          string `name:"smtp" env:"STILE_SMTP" secret:"" placeholder:"URL" help:"Where mail is delivered: smtp://user:password@host:587 or smtps://. Needed."`
	SMTPFallback  string `name:"smtp-fallback" env:"STILE_SMTP_FALLBACK" secret:"" placeholder:"URL" help:"Where mail is delivered while the first server fails, in the same form. Default: nowhere."`
	MailFrom      string `name:"mail-from" env:"STILE_MAIL_FROM" placeholder:"ADDRESS" help:"Sender of mail. Needed."`
	MailReplyTo   string `name:"mail-reply-to" env:"STILE_MAIL_REPLY_TO" placeholder:"ADDRESS" help:"Where answers to mail go."`
	CodeInSubject string `name:"code-in-subject" env:"STILE_CODE_IN_SUBJECT" placeholder:"BOOL" help:"Whether the code stands in the mail's subject too (true)."`

	TelephonyHook          string   `name:"telephony-hook" env:"STILE_TELEPHONY_HOOK" placeholder:"URL" help:"Telephony hook that sends texts and makes calls. Default: none."`
	TelephonyHookSecret    string   `name:"telephony-hook-secret" env:"STILE_TELEPHONY_HOOK_SECRET" secret:"whole" placeholder:"SECRET" help:"What the hook is called with in its header Authorization."`
	TelephonyGateway       string   `name:"telephony-gateway" env:"STILE_TELEPHONY_GATEWAY" placeholder:"FILE" help:"Description of a provider's HTTP interface that sends texts and makes calls, in YAML; beside a hook it is asked while that fails. Default: none."`
	TelephonyGatewaySecret string   `name:"telephony-gateway-secret" env:"STILE_TELEPHONY_GATEWAY_SECRET" secret:"whole" placeholder:"SECRET" help:"What the gateway is called with."`
	PhoneCountries         []string `name:"phone-countries" env:"STILE_PHONE_COUNTRIES" placeholder:"COUNTRY" help:"Where texts and calls may go: two letters each, separated by commas. Numbers without a country code are of the first. Needed with a hook or a gateway."`
	PhoneMethods           []string `name:"phone-methods" env:"STILE_PHONE_METHODS" placeholder:"METHOD" help:"How codes may be sent: sms, voice or both, the preferred one first. Default: all that hook and gateway can do."`
	PhoneTextsPerHour      string   `name:"phone-texts-per-hour" env:"STILE_PHONE_TEXTS_PER_HOUR" placeholder:"N" help:"How many texts and calls one number gets within an hour, from 1 to 100 (5)."`
	PhoneTextsPerDay       string   `name:"phone-texts-per-day" env:"STILE_PHONE_TEXTS_PER_DAY" placeholder:"N" help:"How many go out in all within a day, from 1 to 10000000 (1000)."`
	PhoneTextsPerCountry   string   `name:"phone-texts-per-country" env:"STILE_PHONE_TEXTS_PER_COUNTRY" placeholder:"N" help:"How many go to the numbers of one country within a day, from 1 to 10000000. Default: half of all; all of them where there is one country."`

	WebPushKey     string   `name:"web-push-key" env:"STILE_WEB_PUSH_KEY" secret:"whole" placeholder:"KEY" help:"What the engine proves itself with to push services, as stile web-push-key makes it: devices that approve sign-ins are woken. Default: none; they ask while they are open."`
	WebPushSubject string   `name:"web-push-subject" env:"STILE_WEB_PUSH_SUBJECT" placeholder:"URL" help:"Where push services reach whoever runs the engine: mailto:ops@example.com or an address at https. Needed with the key."`
	WebPushHosts   []string `name:"web-push-hosts" env:"STILE_WEB_PUSH_HOSTS" placeholder:"HOST" help:"Push services that are asked, separated by commas; *.example.com are those below. Default: any that is public."`

	AccessTokenAlg  string `name:"access-token-alg" env:"STILE_ACCESS_TOKEN_ALG" placeholder:"ALG" help:"How access tokens of the default authorization server are signed: RS256 or ES256 (RS256)."`
	AccessTokenLife string `name:"access-token-life" env:"STILE_ACCESS_TOKEN_LIFE" placeholder:"TIME" help:"How long they are good, from 5m to 24h (1h)."`

	LogFormat     string `name:"log-format" env:"STILE_LOG_FORMAT" placeholder:"FORMAT" help:"json or text (json)."`
	LogLevel      string `name:"log-level" env:"STILE_LOG_LEVEL" placeholder:"LEVEL" help:"debug, info, warn or error (info)."`
	MetricsListen string `name:"metrics-listen" env:"STILE_METRICS_LISTEN" placeholder:"HOST:PORT" help:"Where /metrics, /healthz and /readyz are answered; not for the public. Default: nowhere."`

	Traces string `name:"traces" env:"STILE_TRACES" placeholder:"URL" help:"OpenTelemetry collector that takes traces, OTLP over HTTP: http://host:4318. Default: none."`

	ShutdownDrain string `name:"shutdown-drain" env:"STILE_SHUTDOWN_DRAIN" placeholder:"TIME" help:"How long a stopping engine says that it is not ready before it takes no more requests, up to 60s (5s)."`
	ShutdownGrace string `name:"shutdown-grace" env:"STILE_SHUTDOWN_GRACE" placeholder:"TIME" help:"How long requests may take to end then, from 1s to 20s (20s)."`

	Config        string `name:"config" short:"c" env:"STILE_CONFIG" setting:"-" placeholder:"FILE" help:"Settings in YAML; flags and variables go before it. Default: none."`
	MakeMasterKey bool   `name:"make-master-key" setting:"-" help:"Make the master key if there is none: for the first start."`
	Check         bool   `name:"check" setting:"-" help:"Only say whether the engine would start with these settings. Opens nothing but files."`
	Connect       bool   `name:"connect" setting:"-" help:"With --check: also try the database and the SMTP server."`
}

// Settings are those of Serve as they are meant.
type Settings struct {
	PublicURL       string
	Loopback        bool // the public URL is one of this machine alone
	Listen          string
	TLSCert, TLSKey string // both or neither
	TrustedProxies  []netip.Prefix
	Hosts           []string

	Data, Database, MasterKeyFile string
	DatabaseConnections           int // 0: as many as the processors have a use for
	QuickCheck                    bool
	MakeMasterKey                 bool

	SMTP                  []string // the preferred one first; RelayKeys are their settings
	MailFrom, MailReplyTo string
	CodeInSubject         bool

	TelephonyHook, TelephonyHookSecret       string
	TelephonyGateway, TelephonyGatewaySecret string // the first is a file
	TelephonyCalls                           []byte // what stands in it, once it was checked
	PhoneCountries, PhoneMethods             []string
	TextsPerHour, TextsPerDay                int
	TextsPerCountry                          int // within a day

	WebPushKey, WebPushSubject string // both or neither
	WebPushHosts               []string

	AccessTokenAlg  string
	AccessTokenLife time.Duration

	LogJSON       bool
	LogLevel      slog.Level
	MetricsListen string // empty: nowhere
	Traces        string // without a slash at its end; empty: nowhere

	Drain, Grace time.Duration

	source map[string]string // by key: where the value comes from
}

// RelayKeys are the settings that Settings.SMTP comes from, by place.
var RelayKeys = []string{"smtp", "smtp_fallback"}

// settings reads what s says, and notes what is wrong with it.
func (s Serve) settings(f *Faults) *Settings {
	t := &Settings{
		Hosts: s.Hosts, TLSCert: s.TLSCert, TLSKey: s.TLSKey, MakeMasterKey: s.MakeMasterKey,
		Data: or(s.Data, serveFolder), Database: s.Database, MailFrom: s.MailFrom, MailReplyTo: s.MailReplyTo,
		AccessTokenAlg: or(s.AccessTokenAlg, "RS256"), Listen: or(s.Listen, "localhost:9000"), MetricsListen: s.MetricsListen,
	}
	t.MasterKeyFile = or(s.MasterKeyFile, filepath.Join(t.Data, "master.key"))
	s.address(t, f)
	s.listeners(t, f)
	if checkDatabase(s.Database) != nil { // nothing of the value is told: a password may stand there
		f.Add("database", "not of the form postgres://user:password@host/name")
	}
	if s.DatabaseConnections != "" {
		t.DatabaseConnections = f.number("database_connections", s.DatabaseConnections, 2, 100)
		if s.Database == "" {
			f.Add("database_connections", "goes together with database")
		}
	}
	if f.need("smtp", s.SMTP) {
		t.SMTP = append(t.SMTP, s.SMTP)
		if s.SMTPFallback != "" {
			t.SMTP = append(t.SMTP, s.SMTPFallback)
		}
	}
	f.need("mail_from", s.MailFrom)
	s.phones(t, f)
	t.WebPushKey, t.WebPushSubject, t.WebPushHosts = s.WebPushKey, s.WebPushSubject, s.WebPushHosts
	if (s.WebPushKey == "") != (s.WebPushSubject == "") {
		f.Add("web_push_key", "goes together with web_push_subject")
	}
	if s.WebPushKey == "" && len(s.WebPushHosts) > 0 {
		f.Add("web_push_hosts", "goes together with web_push_key")
	}
	t.CodeInSubject = f.truth("code_in_subject", s.CodeInSubject)
	t.QuickCheck = f.truth("quick_check", s.QuickCheck)
	if t.Traces = strings.TrimSuffix(s.Traces, "/"); t.Traces != "" {
		if u, err := url.Parse(t.Traces); err != nil || u.Host == "" || u.User != nil || u.RawQuery != "" || (u.Scheme != "http" && u.Scheme != "https") {
			f.Add("traces", "%q is not of the form http://host:4318", s.Traces)
		}
	}
	if t.AccessTokenAlg != "RS256" && t.AccessTokenAlg != "ES256" {
		f.Add("access_token_alg", "%q is neither RS256 nor ES256", s.AccessTokenAlg)
	}
	t.AccessTokenLife = f.duration("access_token_life", or(s.AccessTokenLife, "1h"), 5*time.Minute, 24*time.Hour)
	switch or(s.LogFormat, "json") {
	case "json":
		t.LogJSON = true
	case "text":
	default:
		f.Add("log_format", "%q is neither json nor text", s.LogFormat)
	}
	switch level := or(s.LogLevel, "info"); level {
	case "debug", "info", "warn", "error":
		_ = t.LogLevel.UnmarshalText([]byte(level)) // these it knows
	default:
		f.Add("log_level", "%q is none of debug, info, warn and error", s.LogLevel)
	}
	t.Drain = f.duration("shutdown_drain", or(s.ShutdownDrain, "5s"), 0, time.Minute)
	t.Grace = f.duration("shutdown_grace", or(s.ShutdownGrace, "20s"), time.Second, 20*time.Second) // REL R-16
	return t
}

// phones reads how codes reach phones, and how many may: they cost money (SEC S-53).
func (s Serve) phones(t *Settings, f *Faults) {
	t.TelephonyHook, t.TelephonyHookSecret = s.TelephonyHook, s.TelephonyHookSecret
	t.TelephonyGateway, t.TelephonyGatewaySecret = s.TelephonyGateway, s.TelephonyGatewaySecret
	t.PhoneCountries, t.PhoneMethods = s.PhoneCountries, s.PhoneMethods
	t.TextsPerHour = f.number("phone_texts_per_hour", or(s.PhoneTextsPerHour, "5"), 1, 100)
	t.TextsPerDay = f.number("phone_texts_per_day", or(s.PhoneTextsPerDay, "1000"), 1, 10_000_000)
	t.TextsPerCountry = t.TextsPerDay
	if len(s.PhoneCountries) > 1 {
		t.TextsPerCountry = (t.TextsPerDay + 1) / 2
	}
	if s.PhoneTextsPerCountry != "" {
		t.TextsPerCountry = f.number("phone_texts_per_country", s.PhoneTextsPerCountry, 1, 10_000_000)
	}
	if (s.TelephonyHook == "") != (s.TelephonyHookSecret == "") {
		f.Add("telephony_hook", "goes together with telephony_hook_secret")
	}
	if s.TelephonyGateway == "" && s.TelephonyGatewaySecret != "" {
		f.Add("telephony_gateway_secret", "goes together with telephony_gateway")
	}
	for _, m := range s.PhoneMethods {
		if m != "sms" && m != "voice" {
			f.Add("phone_methods", "%q is neither sms nor voice", m)
		}
	}
	if s.TelephonyHook != "" || s.TelephonyGateway != "" {
		f.need("phone_countries", strings.Join(s.PhoneCountries, ","))
	}
}

// address reads the public URL, which all absolute URLs come from (SEC S-141).
func (s Serve) address(t *Settings, f *Faults) {
	if !f.need("public_url", s.PublicURL) {
		return
	}
	t.PublicURL = strings.TrimSuffix(s.PublicURL, "/")
	u, err := url.Parse(t.PublicURL)
	if err != nil || u.Hostname() == "" || u.Path != "" || u.RawQuery != "" || u.Fragment != "" || u.User != nil || (u.Scheme != "http" && u.Scheme != "https") {
		f.Add("public_url", "%q is not of the form https://host", s.PublicURL)
		return
	}
	t.Loopback = loopback(u.Hostname())
	if u.Scheme == "http" && !t.Loopback {
		f.Add("public_url", "%q must begin with https://: what is sent there lets people in", s.PublicURL)
	}
	if u.Scheme == "http" && s.TLSCert != "" {
		f.Add("public_url", "%q must begin with https://, as there is a tls_cert", s.PublicURL)
	}
}

// listeners refuses a door by which passwords and codes would come in the clear.
func (s Serve) listeners(t *Settings, f *Faults) {
	for _, p := range s.TrustedProxies {
		prefix, err := network(p)
		if err != nil {
			f.Add("trusted_proxies", "%q is neither an address nor a network such as 10.0.0.0/8", p)
		} else if prefix.Bits() == 0 {
			f.Add("trusted_proxies", "%q would believe everybody", p)
		}
		t.TrustedProxies = append(t.TrustedProxies, prefix)
	}
	if (s.TLSCert == "") != (s.TLSKey == "") {
		f.Add("tls_cert", "goes together with tls_key")
	}
	for _, h := range t.Hosts {
		if strings.ContainsAny(h, "/: *") {
			f.Add("hosts", "%q is not a host name", h)
		}
	}
	host, port, err := net.SplitHostPort(t.Listen)
	open := !loopback(host)
	switch {
	case err != nil || port == "":
		f.Add("listen", "%q is not HOST:PORT", t.Listen)
	case open && t.Loopback && s.TLSCert == "":
		f.Add("listen", "%q is open to other machines, but public_url is of this one alone; listen on localhost", t.Listen)
	case open && s.TLSCert == "" && len(s.TrustedProxies) == 0:
		f.Add("listen", "%q is open to other machines without TLS: set tls_cert and tls_key, or name the proxies in front in trusted_proxies, or listen on localhost", t.Listen)
	}
	if t.MetricsListen == "" {
		return
	}
	if _, port, err := net.SplitHostPort(t.MetricsListen); err != nil || port == "" {
		f.Add("metrics_listen", "%q is not HOST:PORT", t.MetricsListen)
	} else if t.MetricsListen == t.Listen && port != "0" {
		f.Add("metrics_listen", "must be another address than listen: metrics are not for the public")
	}
}

// network is an address or a prefix, IPv4 in IPv6 form as IPv4 (SEC S-111).
func network(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		a = a.WithZone("").Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err == nil && p.Addr().Is4In6() {
		err = fmt.Errorf("%s: write it as IPv4", s)
	}
	return p.Masked(), err
}

func loopback(host string) bool {
	a, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && a.Unmap().IsLoopback()
}

func or(s, otherwise string) string {
	if s == "" {
		return otherwise
	}
	return s
}
