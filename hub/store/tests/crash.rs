//! A writing process is killed (`kill -9`) at random moments, or meets the end of its disk.
//!
//! The test starts itself again as the writer. The writer prints what was acknowledged, after it
//! was; the parent then opens the file and counts. (A cut of power, which also loses what was not
//! synced, is simulated in the store's own tests.)

#[cfg(test)]
mod crash {
    use std::{
        env, fs,
        io::{BufRead as _, BufReader, Write as _},
        path::Path,
        process::{Command, Stdio},
        sync::Arc,
    };

    use tempfile::TempDir;
    use tidegate_store::{
        Embedded, Entry, Error, Outcome, Range, Store, Txn, disk, embedded::Options,
    };

    /// Set for the writer: the file to write to.
    const WRITER: &str = "TIDEGATE_STORE_CRASH_WRITER";
    const WRITERS: usize = 4;

    /// Not a test of its own but the writing process of the tests below.
    #[test]
    fn writer_process() {
        let Some(path) = env::var_os(WRITER) else {
            return;
        };
        let runtime = tokio::runtime::Runtime::new().unwrap();
        runtime.block_on(async {
            let store = Embedded::open(path, Options::default()).await.unwrap();
            let store: Arc<dyn Store> = Arc::new(store);
            let tasks: Vec<_> = (0..WRITERS)
                .map(|writer| tokio::spawn(write_forever(Arc::clone(&store), writer)))
                .collect();
            for task in tasks {
                task.await.unwrap();
            }
        });
    }

    /// Each transaction moves a counter by one and writes two values that name the counter.
    async fn write_forever(store: Arc<dyn Store>, writer: usize) {
        let counter = format!("/tidegate/v1/counter/{writer}");
        loop {
            let current = store.get(&counter).await.unwrap();
            let revision = current.as_ref().map_or(0, |entry| entry.mod_revision);
            let n = current.as_ref().map_or(0, number) + 1;
            let padding = "x".repeat(n * 131 % 5000);
            let txn = Txn::new()
                .when_unchanged(&counter, revision)
                .put(&counter, n.to_string())
                .put(
                    format!("/tidegate/v1/left/{writer}/{n:06}"),
                    padding.clone(),
                )
                .put(format!("/tidegate/v1/right/{writer}/{n:06}"), padding);
            match store.transact(txn).await {
                Ok(Outcome::Committed { revision }) => say(&format!("ack {writer} {n} {revision}")),
                Ok(Outcome::Conflict(conflict)) => panic!("{conflict:?}"),
                Err(error) => {
                    let is_full = matches!(error, Error::Disk(disk::Error::Full { .. }));
                    return say(&format!("full {is_full} {error}"));
                }
            }
        }
    }

    fn number(entry: &Entry) -> usize {
        str::from_utf8(&entry.value).unwrap().parse().unwrap()
    }

    /// One line in one write, past the capture of the test harness.
    fn say(line: &str) {
        let mut out = std::io::stdout().lock();
        out.write_all(format!("{line}\n").as_bytes()).unwrap();
        out.flush().unwrap();
    }

    /// What was acknowledged: per writer the highest number, and over all the highest revision.
    #[derive(Default)]
    struct Acknowledged {
        numbers: [usize; WRITERS],
        revision: u64,
        lines: usize,
        refusals: Vec<String>,
    }

    impl Acknowledged {
        fn read(&mut self, line: &str) {
            // The harness may have begun a line of its own before ours.
            if let Some(at) = line.find("full ") {
                self.refusals.push(line[at..].to_owned());
            }
            let Some(at) = line.find("ack ") else { return };
            let numbers: Vec<usize> = line[at + 4..]
                .split(' ')
                .map(|word| word.parse().unwrap())
                .collect();
            let [writer, n, revision] = numbers[..] else {
                panic!("{line:?}")
            };
            self.numbers[writer] = self.numbers[writer].max(n);
            self.revision = self.revision.max(revision as u64);
            self.lines += 1;
        }
    }

    fn writer(path: &Path, mut command: Command) -> Command {
        command
            .args(["--exact", "crash::writer_process", "--nocapture"])
            .args(["--test-threads", "1"])
            .env(WRITER, path)
            .stdout(Stdio::piped());
        command
    }

    async fn check(path: &Path, acknowledged: &Acknowledged) {
        let store = Embedded::open(path, Options::default()).await.unwrap();
        assert!(store.revision().await.unwrap() >= acknowledged.revision);
        for writer in 0..WRITERS {
            let counter = format!("/tidegate/v1/counter/{writer}");
            let n = store
                .get(&counter)
                .await
                .unwrap()
                .as_ref()
                .map_or(0, number);
            let told = acknowledged.numbers[writer];
            assert!(
                n >= told,
                "writer {writer}: {told} was acknowledged, {n} is there"
            );
            for side in ["left", "right"] {
                let prefix = format!("/tidegate/v1/{side}/{writer}/");
                let entries = store.range(Range::prefix(&prefix)).await.unwrap().entries;
                assert_eq!(entries.len(), n, "{side} of writer {writer}");
                for (i, entry) in entries.iter().enumerate() {
                    assert_eq!(entry.key, format!("{prefix}{:06}", i + 1));
                    assert_eq!(entry.value.len(), (i + 1) * 131 % 5000);
                }
            }
        }
    }

    #[tokio::test]
    async fn kill_9_loses_nothing_acknowledged() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        let mut acknowledged = Acknowledged::default();
        for round in 0..25_usize {
            let command = Command::new(env::current_exe().unwrap());
            let mut child = writer(&path, command).spawn().unwrap();
            let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
            // Killed somewhere in the work that follows this many answers; in the first rounds the
            // writer has hardly begun.
            let answers = if round < 3 { 0 } else { round * 7 % 40 + 1 };
            let before = acknowledged.lines;
            while acknowledged.lines < before + answers {
                acknowledged.read(&lines.next().unwrap().unwrap());
            }
            child.kill().unwrap();
            child.wait().unwrap();
            // What it still managed to say counts.
            lines.for_each(|line| acknowledged.read(&line.unwrap()));
            check(&path, &acknowledged).await;
        }
        assert!(acknowledged.lines > 300, "{}", acknowledged.lines);
    }

    #[tokio::test]
    async fn kill_9_while_a_store_is_created_leaves_none_or_a_whole_one() {
        let mut unfinished = 0;
        for _ in 0..30 {
            let directory = TempDir::new().unwrap();
            let path = directory.path().join("hub.redb");
            let command = Command::new(env::current_exe().unwrap());
            let mut child = writer(&path, command).spawn().unwrap();
            // Killed as soon as the first of its files is seen.
            while fs::read_dir(&directory).unwrap().next().is_none() {
                assert!(child.try_wait().unwrap().is_none(), "the writer ended");
            }
            child.kill().unwrap();
            child.wait().unwrap();
            unfinished += usize::from(!path.exists());
            check(&path, &Acknowledged::default()).await;
        }
        assert!(unfinished > 0, "never killed before the store was there");
    }

    #[tokio::test]
    async fn a_file_that_may_not_grow_further_loses_nothing_acknowledged() {
        let directory = TempDir::new().unwrap();
        let path = directory.path().join("hub.redb");
        // In 512-byte blocks: room to create the file and write for a while.
        let mut command = Command::new("sh");
        command
            .args(["-c", "trap '' XFSZ; ulimit -f 6000; exec \"$0\" \"$@\""])
            .arg(env::current_exe().unwrap());
        let child = writer(&path, command).spawn().unwrap();
        let output = child.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let mut acknowledged = Acknowledged::default();
        for line in String::from_utf8(output.stdout).unwrap().lines() {
            acknowledged.read(line);
        }
        assert!(acknowledged.lines > 10, "{}", acknowledged.lines);
        assert_eq!(acknowledged.refusals.len(), WRITERS);
        for refusal in &acknowledged.refusals {
            assert!(refusal.starts_with("full true"), "{refusal}");
            assert!(refusal.contains("hub.redb"), "{refusal}");
        }
        check(&path, &acknowledged).await;
    }
}
