//! Pages: plain HTML without scripts, every text escaped, nothing loaded from anywhere.

use std::{
    fmt::{self, Write as _},
    sync::LazyLock,
};

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse, Response},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use engine_api::Code;
use ring::digest;

use super::super::{failure::Failure, guard::AsPage};

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:44rem;margin:3rem auto;padding:0 1rem;color:#1a1a1a;\
background:#fff}h1{font-size:1.5rem}h2{font-size:1.1rem}code{background:#f0f0f0;padding:0 .25em;overflow-wrap:anywhere}\
a.button{display:inline-block;background:#0b5cff;color:#fff;padding:.6rem 1.2rem;border-radius:.4rem;text-decoration:none}\
a.button:focus{outline:3px solid #1a1a1a}li{margin:.4rem 0}.ok{color:#0a6b2d}.no{color:#a11212}\
@media(prefers-color-scheme:dark){body{color:#eee;background:#181818}code{background:#333}.ok{color:#6fd08c}.no{color:#ff8a8a}}";

/// The one style that the policy lets pass, by its digest.
static POLICY: LazyLock<HeaderValue> = LazyLock::new(|| {
    let digest = STANDARD.encode(digest::digest(&digest::SHA256, STYLE.as_bytes()));
    let policy = format!(
        "default-src 'none'; style-src 'sha256-{digest}'; form-action 'none'; frame-ancestors 'none'; base-uri 'none'"
    );
    HeaderValue::from_str(&policy).unwrap_or(HeaderValue::from_static(
        "default-src 'none'; frame-ancestors 'none'",
    ))
});

/// A text as HTML shows it.
pub(super) struct Text<'a>(pub(super) &'a str);

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for letter in self.0.chars() {
            match letter {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                letter => f.write_char(letter)?,
            }
        }
        Ok(())
    }
}

/// A piece of finished HTML.
pub(super) struct Html(String);

/// A sentence as the engine writes its details: what stands between backticks is code, between two stars strong.
pub(super) fn prose(text: &str) -> Html {
    let mut html = String::new();
    for (number, piece) in text.split('`').enumerate() {
        if number % 2 == 1 {
            let _ = write!(html, "<code>{}</code>", Text(piece));
            continue;
        }
        for (number, piece) in piece.split("**").enumerate() {
            let (open, close) = if number % 2 == 1 {
                ("<strong>", "</strong>")
            } else {
                ("", "")
            };
            let _ = write!(html, "{open}{}{close}", Text(piece));
        }
    }
    Html(html)
}

/// A page that is being written.
pub(super) struct Page {
    status: StatusCode,
    title: String,
    body: String,
    /// What the log is told where the page is about something that failed.
    failure: Option<Failure>,
}

impl Page {
    pub(super) fn new(status: StatusCode, title: &str) -> Self {
        Self {
            status,
            title: title.to_owned(),
            body: String::new(),
            failure: None,
        }
    }

    /// A page about something that went wrong; `again` is where to begin anew.
    pub(super) fn of_fault(code: Code, detail: &str, again: Option<&str>) -> Self {
        let mut page = Self::of_failure(Failure::new(code, detail));
        if let Some(again) = again {
            page.button(again, "Begin again", "again");
        }
        page
    }

    /// A page about a failure, which the log is told as any other.
    pub(super) fn of_failure(failure: Failure) -> Self {
        let problem = failure.problem.clone();
        let status = StatusCode::from_u16(problem.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut page = Self::new(status, &problem.title);
        let mut detail = problem.detail.clone();
        if let Some(first) = detail.get(..1) {
            detail.replace_range(..1, &first.to_uppercase());
        }
        let end = if detail.ends_with(['.', '?', '!']) {
            ""
        } else {
            "."
        };
        page.text(&format!("{detail}{end}"));
        let step = problem.code().and_then(Code::guide_step);
        let step = step.map_or_else(String::new, |step| {
            format!(" Step {step} of the guide `docs/guides/zoom-app.md` is the one to go back to.")
        });
        page.text(&format!(
            "This is `{0}`, explained in `docs/errors/{0}.md`.{step}",
            problem.code
        ));
        page.failure = Some(failure);
        page
    }

    pub(super) fn heading(&mut self, text: &str) {
        let _ = write!(self.body, "<h2>{}</h2>", Text(text));
    }

    /// A paragraph of prose.
    pub(super) fn text(&mut self, text: &str) {
        let Html(html) = prose(text);
        let _ = write!(self.body, "<p>{html}</p>");
    }

    pub(super) fn list(&mut self, items: impl IntoIterator<Item = Html>) {
        self.body.push_str("<ul>");
        for Html(item) in items {
            let _ = write!(self.body, "<li>{item}</li>");
        }
        self.body.push_str("</ul>");
    }

    /// A list item that says whether something works.
    pub(super) fn verdict(works: bool, text: &str) -> Html {
        let (class, word) = if works {
            ("ok", "Verified")
        } else {
            ("no", "Missing")
        };
        let Html(html) = prose(text);
        Html(format!("<strong class=\"{class}\">{word}</strong> {html}"))
    }

    pub(super) fn button(&mut self, url: &str, text: &str, id: &str) {
        let _ = write!(
            self.body,
            "<p><a class=\"button\" id=\"{}\" rel=\"noreferrer\" href=\"{}\">{}</a></p>",
            Text(id),
            Text(url),
            Text(text)
        );
    }
}

impl IntoResponse for Page {
    fn into_response(self) -> Response {
        let title = Text(&self.title);
        let html = format!(
            "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
             <meta name=\"viewport\" content=\"width=device-width\"><meta name=\"robots\" content=\"noindex\">\
             <title>{title}</title><style>{STYLE}</style></head><body><main><h1>{title}</h1>{}</main></body></html>\n",
            self.body
        );
        let mut response = (self.status, html).into_response();
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/html; charset=utf-8"),
        );
        headers.insert(header::CONTENT_SECURITY_POLICY, POLICY.clone());
        for (name, value) in [
            (header::X_FRAME_OPTIONS, "DENY"),
            (header::REFERRER_POLICY, "no-referrer"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                HeaderName::from_static("cross-origin-opener-policy"),
                "same-origin",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        response.extensions_mut().insert(AsPage);
        if let Some(failure) = self.failure {
            response.extensions_mut().insert(failure);
        }
        response
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn no_text_becomes_markup(text in "[<>&\"'`*a-z ]{0,40}") {
            let escaped = Text(&text).to_string();
            prop_assert!(!escaped.contains(['<', '>', '"', '\'']), "{escaped}");
            let Html(html) = prose(&text);
            let bare = ["<code>", "</code>", "<strong>", "</strong>"]
                .iter()
                .fold(html, |html, tag| html.replace(tag, ""));
            prop_assert!(!bare.contains(['<', '>', '"', '\'']), "{bare}");
        }
    }

    #[test]
    fn code_and_stress_are_shown() {
        assert_eq!(
            prose("set `a<b` **now**").0,
            "set <code>a&lt;b</code> <strong>now</strong>"
        );
    }
}
