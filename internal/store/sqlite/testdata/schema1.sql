-- A row of every kind, as a program of schema 1 has written them.
INSERT INTO transactions (id, client_id, version, expires_at, data)
    VALUES ('tx', 'web', 3, 1795264215123456, x'00ff');
INSERT INTO users (id, version, status, email, canonical, first_name, last_name, locale, attributes, email_verified_at, created_at, updated_at)
    VALUES ('00u1', 2, 'ACTIVE', 'Ada@example.com', 'ada@example.com', 'Ada', 'Żak', 'en', '{"nickName":"A"}', 1795264215123456, 1795264215123456, 1795264215123456),
           ('00u2', 1, 'SUSPENDED', 'bob@example.com', 'bob@example.com', '', '', '', '', 0, 1795264215123456, 1795264215123456);
INSERT INTO enrollments (user_id, id, version, authenticator, credential, created_at, last_used_at)
    VALUES ('00u1', 'e1', 1, 'okta_email', x'01', 1795264215123456, 0);
INSERT INTO outbox (id, kind, payload, status, attempts, last_error, created_at, not_before, expires_at, leased_until, fence)
    VALUES ('m1', 'mail', x'02', 'queued', 0, '', 1795264215123456, 1795264215123456, 1795264815123456, 0, 0);
INSERT INTO clients (id, version, data)
    VALUES ('web', 1, '{"id":"web","name":"Web","redirectUris":["https://app.example/cb"],"grantTypes":["interaction_code"],"createdAt":"2026-11-21T12:30:15Z","updatedAt":"2026-11-21T12:30:15Z"}');
INSERT INTO signing_keys (id, server, alg, private, created_at, active_from, expires_at)
    VALUES ('kid', 'default', 'RS256', x'03', 1795264215123456, 1795264215123456, 0);
INSERT INTO refresh_families (id, grant_id, client_id, user_id, server, scopes, amr, auth_time, generation, rotated_at, created_at, idle_until, expires_at, revoked_at)
    VALUES ('f1', 'grant', 'web', '00u1', 'default', '["openid"]', '["otp"]', 1795264215123456, 4, 1795264215123456, 1795264215123456, 1795264815123456, 1795264815123456, 0);
INSERT INTO revocations (id, revoked_at, expires_at)
    VALUES ('jti', 1795264215123456, 1795264815123456);
INSERT INTO audit (seq, id, at, events, position)
    VALUES (1, 'a1', 1795264215123456, '[]', 1), (2, 'a2', 1795264215123456, '[]', 0);
INSERT INTO audit_seals (number, first_row, last_row, at, hash, mac)
    VALUES (1, 1, 1, 1795264215123456, x'04', x'05');
INSERT INTO settings (name, value) VALUES ('name', x'06');
