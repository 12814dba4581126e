//! Where the sandbox differs from a real server on purpose, each place with its reason.

/// A known difference.
pub(crate) struct Exception {
    /// Case, step and JSON pointer; `*` stands for anything.
    pub(crate) at: &'static str,
    /// Why it is no failure.
    #[expect(dead_code, reason = "for the reader of the table")]
    pub(crate) because: &'static str,
}

/// All of them; one that no longer differs fails the suite.
pub(crate) const EXCEPTIONS: &[Exception] = &[
    Exception {
        at: "create_kinds/* persistentvolumeclaims/body/metadata/finalizers",
        because: "nothing uses a claim where there are no pods, so nothing protects it",
    },
    Exception {
        at: "finalizers/04 one more/body/details/causes",
        because: "the server lists a cause in metadata of a built-in kind twice, its message once",
    },
];
