//! Records arrive whole, and only where nothing else is.

use tidegate_store::Memory;

use super::*;

fn ours(source: &str) -> Move {
    Move {
        source: source.to_owned(),
        command: format!("do {source} again"),
    }
}

fn records(count: usize) -> Records {
    let record = |number| {
        let key = format!("/tidegate/v1/sets/p/{number:05}");
        (key, Bytes::from(vec![7; 30_000]))
    };
    (0..count).map(record).collect()
}

fn same(source: &'static str) -> impl Fn(&Move) -> bool {
    move |found| found.source == source
}

#[tokio::test]
async fn records_arrive_whole_whatever_their_number_and_size() {
    let store = Memory::default();
    // More than 100 operations, and more than a mebibyte in a hundred of them.
    let records = records(250);
    fill(&store, &ours("a"), same("a"), &records).await.unwrap();
    assert!(mark(&store).await.unwrap().is_some());
    assert_eq!(all(&store).await.unwrap().0, records);
    end(&store).await.unwrap();
    assert!(mark(&store).await.unwrap().is_none());
}

#[tokio::test]
async fn what_an_interrupted_move_left_is_replaced_by_the_same_and_by_no_other() {
    let store = Memory::default();
    fill(&store, &ours("a"), same("a"), &records(150))
        .await
        .unwrap();
    let other = fill(&store, &ours("b"), same("b"), &records(1)).await;
    let words = other.unwrap_err().to_string();
    assert!(words.contains("do a again"), "{words}");
    assert!(check_free(&store, same("b")).await.is_err());
    check_free(&store, same("a")).await.unwrap();
    fill(&store, &ours("a"), same("a"), &records(3))
        .await
        .unwrap();
    assert_eq!(all(&store).await.unwrap().0, records(3));
}

#[tokio::test]
async fn a_store_that_holds_something_is_left_as_it_is() {
    let store = Memory::default();
    let kept = Txn::new().put("/tidegate/v1/sets/p/kept", "x");
    commit(&store, kept).await.unwrap();
    let before = all(&store).await.unwrap();
    let error = fill(&store, &ours("a"), |_| true, &records(1)).await;
    assert!(matches!(error, Err(Error::InUse { .. })), "{error:?}");
    assert!(check_free(&store, same("a")).await.is_err());
    assert_eq!(all(&store).await.unwrap(), before);
}

#[tokio::test]
async fn what_somebody_else_writes_meanwhile_is_seen() {
    let store = Memory::default();
    fill(&store, &ours("a"), same("a"), &records(2))
        .await
        .unwrap();
    end(&store).await.unwrap();
    let gone = end(&store).await;
    assert!(matches!(gone, Err(Error::Disturbed { .. })), "{gone:?}");
}
