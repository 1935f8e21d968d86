//! Paths and bytes of tiles (C2SP tlog-tiles).

use grid_log::Hash;
use grid_log::testing::MemoryLog;
use grid_log::tile::{
    TILE_WIDTH, TileError, TileLevel, TilePath, decode_bundle, decode_hashes, encode_bundle,
    encode_hashes,
};
use proptest::prelude::*;

#[test]
fn paths_as_the_specification_writes_them() {
    for (path, text) in [
        (TilePath::hashes(0, 0, 256), "tile/0/000"),
        (TilePath::hashes(0, 1234, 17), "tile/0/x001/234.p/17"),
        (TilePath::hashes(2, 1_234_067, 256), "tile/2/x001/x234/067"),
        (TilePath::hashes(63, 999, 255), "tile/63/999.p/255"),
        (TilePath::entries(0, 256), "tile/entries/000"),
        (TilePath::entries(1000, 1), "tile/entries/x001/000.p/1"),
        (TilePath::entries((1 << 53) - 1, 256), "tile/entries/x009/x007/x199/x254/x740/991"),
    ] {
        assert_eq!(path.to_string(), text);
        assert_eq!(text.parse(), Ok(path));
    }
}

#[test]
fn other_texts_are_no_paths() {
    for text in [
        "",
        "tile",
        "tile/",
        "tile/0",
        "tile/0/",
        "tile/0/0",
        "tile/0/00",
        "tile/0/0000",
        "tile/0/x000/000",
        "tile/0/x001",
        "tile/0/001/234",
        "tile/0/x001/x234",
        "tile/0/x001/234/",
        "tile/0/x01/234",
        "tile/0/X001/234",
        "tile/0/x001//234",
        "tile/00/000",
        "tile/01/000",
        "tile/64/000",
        "tile/256/000",
        "tile/-1/000",
        "tile/+1/000",
        "tile/data/000",
        "tile/entries/+00",
        "tile/entries/000.p/0",
        "tile/entries/000.p/256",
        "tile/entries/000.p/257",
        "tile/entries/000.p/01",
        "tile/entries/000.p/",
        "tile/entries/000.p",
        "tile/entries/000.p/1/",
        "tile/entries/000.p/1.p/1",
        "/tile/0/000",
        " tile/0/000",
        "tile/0/000 ",
        "tile/0/../000",
        "tile/0/٠٠٠",
        "tile/0/x009/x007/x199/x254/x740/992",
        "tile/0/x999/x999/x999/x999/x999/x999/999",
        "tile/0/x001/x000/x000/x000/x000/x000/x000/000",
    ] {
        assert_eq!(text.parse::<TilePath>(), Err(TileError::Path), "{text}");
    }
}

/// The specification's example: a tree of 70,000 leaves.
#[test]
fn what_a_tree_of_70_000_needs() {
    let paths: Vec<TilePath> = TilePath::new_hashes(0, 70_000).collect();
    let count = |level, full| {
        let wanted = |path: &&TilePath| path.level() == level && path.is_full() == full;
        paths.iter().filter(wanted).map(|path| path.width()).collect::<Vec<_>>()
    };
    assert_eq!(count(TileLevel::Hashes(0), true).len(), 273);
    assert_eq!(count(TileLevel::Hashes(0), false), [112]);
    assert_eq!(count(TileLevel::Hashes(1), true).len(), 1);
    assert_eq!(count(TileLevel::Hashes(1), false), [17]);
    assert_eq!(count(TileLevel::Hashes(2), false), [1]);
    assert_eq!(paths.len(), 277);
    assert_eq!(TilePath::new_entries(0, 70_000).count(), 274);

    let texts = |paths: Vec<TilePath>| paths.iter().map(TilePath::to_string).collect::<Vec<_>>();
    assert_eq!(texts(TilePath::new_hashes(0, 256).collect()), ["tile/0/000", "tile/1/000.p/1"]);
    assert_eq!(
        texts(TilePath::new_entries(250, 520).collect()),
        ["tile/entries/000", "tile/entries/001", "tile/entries/002.p/8"]
    );
    assert_eq!(TilePath::new_entries(300, 300).count(), 0);
    assert_eq!(TilePath::new_hashes(300, 300).count(), 0);
    assert_eq!(TilePath::new_hashes(0, 0).count(), 0);
}

/// What an append completes and what stays open are just the tiles listed.
#[test]
fn the_tree_s_tiles_are_those_listed() {
    for size in [0, 1, 255, 256, 257, 65_535, 65_536, 65_792, 70_000] {
        let log = MemoryLog::of_size(size);
        let full = log.tiles.0.keys().map(|(level, index)| TilePath::hashes(*level, *index, 256));
        let open = log.tree.partial_tiles().map(|(path, _)| path);
        let mut tiles: Vec<TilePath> = full.chain(open).collect();
        tiles.sort_unstable();
        let mut listed: Vec<TilePath> = TilePath::new_hashes(0, size).collect();
        listed.sort_unstable();
        assert_eq!(tiles, listed, "{size}");
    }
}

#[test]
fn bundles_have_bounds() {
    let longest = vec![7; 65_535];
    let bytes = encode_bundle(&[longest.as_slice(), &[]]).unwrap();
    assert_eq!(bytes.len(), 2 + 65_535 + 2);
    assert_eq!(bytes[..3], [0xff, 0xff, 7]);
    assert_eq!(decode_bundle(&bytes, 2).unwrap(), [longest.as_slice(), &[]]);
    assert_eq!(encode_bundle(&[vec![0; 65_536]]), Err(TileError::TooLarge));
    assert_eq!(encode_bundle(&[[0u8; 0]; 257]), Err(TileError::TooLarge));
    assert!(encode_bundle(&[[0u8; 0]; 256]).is_ok());
    // An entry that claims more than there is.
    assert_eq!(decode_bundle(&[0xff, 0xff, 1], 1), Err(TileError::Width { expected: 1 }));
}

proptest! {
    #[test]
    fn paths_go_round(level in 0u8..64, index in 0u64..1 << 53, width in 1u16..=256) {
        for path in [TilePath::hashes(level, index, width), TilePath::entries(index, width)] {
            prop_assert_eq!(path.to_string().parse(), Ok(path));
        }
    }

    #[test]
    fn any_text_that_parses_is_its_path(text in "tile/([0-9]{1,3}|entries)(/x?[0-9]{3}){1,7}(\\.p/[0-9]{0,3})?") {
        if let Ok(path) = text.parse::<TilePath>() {
            prop_assert_eq!(path.to_string(), text);
        }
    }

    #[test]
    fn bundles_go_round(entries in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..40), 0..20), cut in 1usize..40, extra in 1usize..4) {
        let width = entries.len() as u16;
        let bytes = encode_bundle(&entries).unwrap();
        prop_assert_eq!(decode_bundle(&bytes, width).unwrap(), entries);
        let refused = Err(TileError::Width { expected: width });
        let longer = [bytes.as_slice(), &vec![0; extra]].concat();
        prop_assert_eq!(decode_bundle(&longer, width), refused.clone());
        if !bytes.is_empty() {
            prop_assert_eq!(decode_bundle(&bytes[..bytes.len().saturating_sub(cut)], width), refused);
        }
        prop_assert!(decode_bundle(&bytes, width + 1).is_err());
    }

    #[test]
    fn any_bytes_are_decoded_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600), width in 0u16..300) {
        match decode_bundle(&bytes, width) {
            Ok(entries) if width <= TILE_WIDTH => {
                prop_assert_eq!(encode_bundle(&entries), Ok(bytes.clone()));
            }
            _ => {}
        }
        if let Ok(hashes) = decode_hashes(&bytes, width) {
            prop_assert_eq!(encode_hashes(&hashes), bytes);
        }
    }

    #[test]
    fn tiles_go_round(hashes in proptest::collection::vec(any::<[u8; 32]>().prop_map(Hash), 1..257)) {
        let bytes = encode_hashes(&hashes);
        let width = hashes.len() as u16;
        prop_assert_eq!(decode_hashes(&bytes, width), Ok(hashes));
        prop_assert!(decode_hashes(&bytes[1..], width).is_err());
        prop_assert!(decode_hashes(&bytes[32..], width).is_err());
    }
}
