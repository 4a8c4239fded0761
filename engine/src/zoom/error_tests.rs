//! Every answer of Zoom's that is known, and what it asks for.

use crate::http::header::{HeaderMap, HeaderName, HeaderValue};

use super::*;

const NOW: &str = "2024-05-10T12:00:00Z";

fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Response {
    let headers: HeaderMap = headers
        .iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_str(value).unwrap(),
            )
        })
        .collect();
    Response {
        status: StatusCode::from_u16(status).unwrap(),
        headers,
        body: body.to_owned().into(),
    }
}

fn report(status: u16, headers: &[(&'static str, &str)], body: &str) -> Error {
    Error::of_report(
        &answer(status, headers, body),
        LogType::Operation,
        NOW.parse().unwrap(),
    )
}

fn asked(asked: Asked, status: u16, body: &str) -> Code {
    Error::of_token(&answer(status, &[], body), asked, NOW.parse().unwrap()).code()
}

fn token(status: u16, body: &str) -> Code {
    asked(Asked::Account, status, body)
}

/// What a report answer means, a token that is refused even after it was renewed included.
fn at_report(status: u16, body: &str) -> Code {
    let answer = answer(status, &[], body);
    if says_token_is_stale(&answer) {
        return Error::token_refused(&answer).code();
    }
    report(status, &[], body).code()
}

#[test]
fn every_error_of_the_reports_has_one_code() {
    let scope = "Invalid access token, does not contain scopes:[user:read:list_users:admin].";
    for (status, body, code) in [
        (
            401,
            r#"{"code":124,"message":"Invalid access token."}"#,
            Code::ZoomTokenRefused,
        ),
        (
            401,
            r#"{"code":124,"message":"Access token is expired."}"#,
            Code::ZoomTokenRefused,
        ),
        (
            400,
            r#"{"code":124,"message":"Invalid access token."}"#,
            Code::ZoomTokenRefused,
        ),
        (
            401,
            r#"{"status":false,"errorCode":401,"errorMessage":"x"}"#,
            Code::ZoomTokenRefused,
        ),
        (
            401,
            r#"{"code":201,"message":"Access token is expired."}"#,
            Code::ZoomTokenRefused,
        ),
        (
            400,
            &format!(r#"{{"code":4711,"message":"{scope}"}}"#),
            Code::ZoomMissingScope,
        ),
        (
            400,
            &format!(r#"{{"code":4700,"message":"{scope}"}}"#),
            Code::ZoomMissingScope,
        ),
        (
            400,
            &format!(r#"{{"code":104,"message":"{scope}"}}"#),
            Code::ZoomMissingScope,
        ),
        (
            400,
            r#"{"code":104,"message":"scopes:"report:read:admin""}"#,
            Code::ZoomMissingScope,
        ),
        (
            400,
            r#"{"code":200,"message":"No permission."}"#,
            Code::ZoomMissingPermission,
        ),
        (
            400,
            r#"{"code":200,"message":"This is only available for the paid account: abc"}"#,
            Code::ZoomPlanTooLow,
        ),
        (
            400,
            r#"{"code":300,"message":"Only provide report in recent 6 months"}"#,
            Code::ZoomReadRestarted,
        ),
        (
            300,
            r#"{"code":300,"message":"Only provide report in recent 6 months"}"#,
            Code::ZoomReadRestarted,
        ),
        (
            404,
            r#"{"code":124,"message":"Account does not exist"}"#,
            Code::ZoomUnknownAccount,
        ),
        (
            404,
            r#"{"code":1001,"message":"What is this"}"#,
            Code::ZoomRefused,
        ),
        (
            429,
            r#"{"code":429,"message":"You have reached the maximum per-second rate limit for this API."}"#,
            Code::ZoomRateLimited,
        ),
        (
            429,
            r#"{"code":429,"message":"You have reached the maximum daily rate limit for this API."}"#,
            Code::BudgetExhausted,
        ),
        (500, "", Code::ZoomUnavailable),
        (502, "<html>", Code::ZoomUnavailable),
        (418, "<html>", Code::ZoomMalformed),
    ] {
        assert_eq!(at_report(status, body), code, "{status} {body}");
    }
}

#[test]
fn every_error_of_the_token_endpoint_has_one_code() {
    use Asked::{Account, Code as ByCode, Refresh};
    let all = [Account, ByCode, Refresh];
    let client = r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#;
    let grant = r#"{"reason":"unsupported grant type","error":"unsupported_grant_type"}"#;
    for by in all {
        assert_eq!(asked(by, 400, client), Code::ZoomInvalidCredentials);
        assert_eq!(asked(by, 401, client), Code::ZoomInvalidCredentials);
        assert_eq!(asked(by, 400, grant), Code::ZoomWrongAppType);
        assert_eq!(asked(by, 429, "{}"), Code::ZoomRateLimited);
        assert_eq!(asked(by, 500, ""), Code::ZoomUnavailable);
    }
    let void = r#"{"reason":"Invalid Token!","error":"invalid_grant"}"#;
    assert_eq!(asked(Refresh, 400, void), Code::ReauthorizationRequired);
    assert_eq!(asked(Refresh, 401, void), Code::ReauthorizationRequired);
    for kind in ["invalid_grant", "invalid_request"] {
        let body = format!(r#"{{"reason":"Invalid authorization code","error":"{kind}"}}"#);
        assert_eq!(asked(ByCode, 400, &body), Code::ZoomCodeRefused);
    }
    // Zoom's table of numbers. Where what was asked for decides, all three are held.
    let same = |code| [code; 3];
    let void = [
        Code::ZoomRefused,
        Code::ZoomCodeRefused,
        Code::ReauthorizationRequired,
    ];
    for (number, codes) in [
        (4700, same(Code::ZoomRefused)),
        (4702, same(Code::ZoomInvalidCredentials)),
        (4704, same(Code::ZoomInvalidCredentials)),
        (4705, same(Code::ZoomWrongAppType)),
        (4706, same(Code::ZoomInvalidCredentials)),
        (4709, same(Code::ZoomRedirectMismatch)),
        (4711, void),
        (4717, same(Code::ZoomAppDisabled)),
        (4724, same(Code::ZoomWrongAppType)),
        (4732, same(Code::ZoomCodeRefused)),
        (4733, same(Code::ZoomCodeRefused)),
        (4734, same(Code::ZoomCodeRefused)),
        (4735, same(Code::ZoomOwnerGone)),
        (4737, void),
        (4738, same(Code::ZoomAppDisabled)),
        (4740, void),
        (4741, void),
    ] {
        for (by, code) in all.into_iter().zip(codes) {
            let body = format!(r#"{{"code":{number},"reason":"x","error":"y"}}"#);
            assert_eq!(asked(by, 400, &body), code, "{number} {by:?}");
        }
    }
}

#[test]
fn what_the_set_up_decides_names_the_step_to_go_back_to() {
    let body = r#"{"reason":"x","error":"y","code":4709}"#;
    let error = Error::of_token(&answer(400, &[], body), Asked::Code, NOW.parse().unwrap());
    assert!(error.to_string().contains("step 4 of the guide"), "{error}");
    assert!(error.to_string().contains("letter by letter"), "{error}");
}

#[test]
fn a_missing_scope_is_named() {
    let body = r#"{"code":4711,"message":"Invalid access token, does not contain scopes:[report:read:operation_logs:admin]."}"#;
    let error = report(400, &[], body);
    assert_eq!(error.code(), Code::ZoomMissingScope);
    assert!(
        error.to_string().contains("`report:read:operation_logs:admin`"),
        "{error}"
    );
    let malformed =
        r#"{"code":104,"message":"Invalid access token, does not contain scopes:"report:read:admin""}"#;
    assert_eq!(report(400, &[], malformed).code(), Code::ZoomMissingScope);
}

#[test]
fn permissions_and_plans_share_a_code_and_differ_in_words() {
    assert_eq!(
        report(400, &[], r#"{"code":200,"message":"No permission."}"#).code(),
        Code::ZoomMissingPermission
    );
    let plan = r#"{"code":200,"message":"This is only available for the paid account: abc"}"#;
    assert_eq!(report(400, &[], plan).code(), Code::ZoomPlanTooLow);
}

#[test]
fn a_daily_limit_is_known_in_every_form() {
    let midnight = Error::DayUsedUp {
        until: "2024-05-11T00:00:00Z".parse().unwrap(),
    };
    let words = r#"{"code":429,"message":"You have reached the maximum daily rate limit for this API."}"#;
    let iso = [
        ("x-ratelimit-type", "Daily-limit"),
        ("retry-after", "2024-05-11T00:00:00Z"),
    ];
    assert_eq!(report(429, &iso, words), midnight);
    let http_date = [("retry-after", "Sat, 11 May 2024 00:00:00 GMT")];
    assert_eq!(report(429, &http_date, "{}"), midnight);
    assert_eq!(report(429, &[("retry-after", "43200")], "{}"), midnight);
    let moment = Error::DayUsedUp {
        until: "2024-05-10T12:01:00Z".parse().unwrap(),
    };
    let past = [
        ("x-ratelimit-type", "Daily-limit"),
        ("retry-after", "2024-05-10T12:00:00Z"),
    ];
    assert_eq!(
        report(429, &past, words),
        moment,
        "a reset that has passed is a clock that is behind"
    );
    let year = [
        ("x-ratelimit-type", "Daily-limit"),
        ("retry-after", "2025-05-10T00:00:00Z"),
    ];
    let bounded = Error::DayUsedUp {
        until: "2024-05-11T00:01:00Z".parse().unwrap(),
    };
    assert_eq!(report(429, &year, words), bounded, "no pause outlasts the day");
    assert_eq!(report(429, &[], words), midnight, "no header at all");
    assert_eq!(
        report(429, &[], &words.replace("429", "200")),
        midnight,
        "body code 200"
    );
    assert_eq!(
        report(429, &[("x-ratelimit-type", "QPS")], "{}"),
        Error::Throttled { until: None }
    );
}

#[test]
fn a_stale_read_is_begun_anew_and_faults_pass() {
    for status in [300, 400] {
        let body = r#"{"code":300,"message":"The next page token is invalid or expired."}"#;
        assert!(
            matches!(report(status, &[], body), Error::Restart { .. }),
            "{status}"
        );
    }
    assert!(matches!(report(502, &[], "<html>"), Error::Unavailable { .. }));
    assert!(matches!(report(418, &[], "<html>"), Error::Malformed { .. }));
}

#[test]
fn token_answers_tell_secret_account_app_and_kind_apart() {
    assert_eq!(
        token(
            400,
            r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#
        ),
        Code::ZoomInvalidCredentials
    );
    assert_eq!(
        token(
            401,
            r#"{"reason":"Invalid client_id or client_secret","error":"invalid_client"}"#
        ),
        Code::ZoomInvalidCredentials
    );
    assert_eq!(
        token(400, r#"{"reason":"Bad Request","error":"invalid_request"}"#),
        Code::ZoomUnknownAccount
    );
    assert_eq!(
        token(
            400,
            r#"{"reason":"unsupported grant type","error":"unsupported_grant_type"}"#
        ),
        Code::ZoomWrongAppType
    );
    assert_eq!(
        token(
            400,
            r#"{"reason":"The app has been disabled","error":"invalid_client","code":4717}"#
        ),
        Code::ZoomAppDisabled
    );
    assert_eq!(token(503, ""), Code::ZoomUnavailable);
}

#[test]
fn requests_count_only_when_they_are_of_the_day() {
    let headers = |kind, limit, remaining| {
        let headers = [
            ("x-ratelimit-type", kind),
            ("x-ratelimit-limit", limit),
            ("x-ratelimit-remaining", remaining),
        ];
        daily_limit(&answer(200, &headers, ""))
    };
    let told = |limit, remaining| DailyLimit { limit, remaining };
    assert_eq!(
        headers("Daily-limit", "60000", "17"),
        told(Some(60_000), Some(17))
    );
    assert_eq!(headers("Daily-limit", "0", "many"), DailyLimit::default());
    assert_eq!(headers("QPS", "10", "3"), DailyLimit::default());
}
