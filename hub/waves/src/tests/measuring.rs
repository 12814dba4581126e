//! Which analyses are refused when they are written, each with its place and what to do.

use tidegate_model::{
    duration::Span,
    strategy::{Analysis, Condition, HttpCheck, Wave},
};

use crate::{
    tests::fixture::{analysis, waves},
    validate,
};

/// What is said of a wave with one analysis, after this change.
fn said(change: impl Fn(&mut Wave)) -> String {
    let mut strategy = waves(&["dev"]);
    strategy.waves[0].analysis = vec![analysis("errors")];
    change(&mut strategy.waves[0]);
    validate(&strategy).map_or_else(|errors| errors.to_string(), |()| "fine".to_owned())
}

fn one(change: impl Fn(&mut Analysis)) -> String {
    said(|wave| change(&mut wave.analysis[0]))
}

fn server(text: &str) -> String {
    one(|analysis| {
        let prometheus = analysis.prometheus.as_mut().unwrap();
        text.clone_into(&mut prometheus.server);
    })
}

fn query(text: &str) -> String {
    one(|analysis| {
        let prometheus = analysis.prometheus.as_mut().unwrap();
        text.clone_into(&mut prometheus.query);
    })
}

fn document(url: &str, value: &str) -> String {
    one(|analysis| {
        analysis.prometheus = None;
        analysis.http = Some(HttpCheck {
            url: url.to_owned(),
            value: value.to_owned(),
        });
    })
}

fn held(cases: &[(String, &str, &str)]) {
    for (told, place, problem) in cases {
        let place = format!("strategy.waves[0].{place} (wave \"dev\"): ");
        assert!(
            told.contains(&place) && told.contains(problem),
            "{place}{problem}: {told}"
        );
        assert!(!told.contains("secret"), "{told}");
    }
}

#[test]
fn a_provider_must_be_one_that_can_be_asked() {
    let fine = [
        said(|_| {}),
        server("https://p.example.com/prefix/"),
        document("https://app/metrics?x=1", "/a~1b/~0/0"),
        document("http://app", ""),
    ];
    assert_eq!(fine, ["fine"; 4]);
    let (at, asks) = (
        "analysis[0].prometheus.server",
        "analysis[0].prometheus.query",
    );
    let (url, value) = ("analysis[0].http.url", "analysis[0].http.value");
    let neither = one(|analysis| analysis.prometheus = None);
    let both = one(|analysis| {
        analysis.http = Some(HttpCheck {
            url: "http://a/".to_owned(),
            value: String::new(),
        });
    });
    held(&[
        (neither, "analysis[0]", "neither prometheus nor http"),
        (both, "analysis[0]", "both prometheus and http"),
        (server("prometheus:9090"), at, "scheme is prometheus"),
        (server("http://"), at, "not a URL"),
        (server("http://me:secret@p/"), at, "user or a password"),
        (server("http://p/?a=b"), at, "query string"),
        (server("http://p/#a"), at, "fragment"),
        (query(" "), asks, "is empty"),
        (document("ftp://a/", ""), url, "scheme is ftp"),
        (document("http://secret@a/", ""), url, "user or a password"),
        (document("http://a/", "a"), value, "JSON pointer"),
        (document("http://a/", "/a~2"), value, "JSON pointer"),
    ]);
}

#[test]
fn an_analysis_must_be_able_to_pass() {
    let many = |wave: &mut Wave| {
        wave.analysis = (0..11).map(|n| analysis(&format!("a{n}"))).collect();
    };
    let without = |wave: &mut Wave| {
        wave.soak.min_samples = 1;
        wave.analysis.clear();
    };
    let silent = one(|analysis| (analysis.pass, analysis.fail) = (None, None));
    let never = one(|analysis| analysis.fail = Condition::parse("< 10").ok());
    let twice = said(|wave| wave.analysis.push(analysis("errors")));
    held(&[
        (twice, "analysis[1].name", "rename"),
        (one(|it| it.name.clear()), "analysis[0].name", "is empty"),
        (silent, "analysis[0]", "neither pass nor fail"),
        (never, "analysis[0].fail", "nothing would ever pass"),
        (
            one(|it| it.interval = Span::default()),
            "analysis[0].interval",
            "at least 1s",
        ),
        (
            one(|it| it.count = 0),
            "analysis[0].count",
            "between 1 and 100",
        ),
        (
            one(|it| it.count = 101),
            "analysis[0].count",
            "between 1 and 100",
        ),
        (
            said(|wave| wave.soak.min_samples = 101),
            "soak.minSamples",
            "at most 100",
        ),
        (said(without), "soak.minSamples", "no analysis"),
        (said(many), "analysis", "too many"),
    ]);
}
