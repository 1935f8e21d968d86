//! SLIP-0010: keys derived from a seed, for ed25519, where every step is hardened.

use bitcoin_hashes::{Hash, HashEngine, Hmac, HmacEngine, sha512};

/// A key, and what its children are derived with.
struct Node {
    key: [u8; 32],
    chain: [u8; 32],
}

impl Node {
    fn of(secret: &[u8], parts: &[&[u8]]) -> Self {
        let mut engine = HmacEngine::<sha512::Hash>::new(secret);
        parts.iter().for_each(|part| engine.input(part));
        let digest = Hmac::from_engine(engine).to_byte_array();
        let (mut key, mut chain) = ([0; 32], [0; 32]);
        key.copy_from_slice(&digest[..32]);
        chain.copy_from_slice(&digest[32..]);
        Self { key, chain }
    }

    fn child(&self, index: u32) -> Self {
        let hardened = index | 1 << 31;
        Self::of(&self.chain, &[&[0], &self.key, &hardened.to_be_bytes()])
    }
}

/// The private key (an ed25519 seed, RFC 8032) at a path below the master key of `seed`. Every
/// index is taken as hardened.
pub(crate) fn derive(seed: &[u8], path: &[u32]) -> [u8; 32] {
    let master = Node::of(b"ed25519 seed", &[seed]);
    path.iter().fold(master, |node, index| node.child(*index)).key
}

#[cfg(test)]
mod tests {
    use super::derive;

    /// SLIP-0010's test vectors 1 and 2 for ed25519.
    #[test]
    fn vectors() {
        let check = |seed: &str, path: &[u32], key: &str| {
            assert_eq!(hex::encode(derive(&hex::decode(seed).unwrap(), path)), key, "{path:?}");
        };
        let one = "000102030405060708090a0b0c0d0e0f";
        check(one, &[], "2b4be7f19ee27bbf30c667b642d5f4aa69fd169872f8fc3059c08ebae2eb19e7");
        check(one, &[0], "68e0fe46dfb67e368c75379acec591dad19df3cde26e63b93a8e704f1dade7a3");
        check(
            one,
            &[0, 1, 2, 2, 1_000_000_000],
            "8f94d394a8e8fd6b1bc2f3f49f5c47e385281d5c17e65324b0f62483e37e8793",
        );
        let two = "fffcf9f6f3f0edeae7e4e1dedbd8d5d2cfccc9c6c3c0bdbab7b4b1aeaba8a5a2\
                   9f9c999693908d8a8784817e7b7875726f6c696663605d5a5754514e4b484542";
        check(two, &[], "171cb88b1b3c1db25add599712e36245d75bc65a1a5c9e18d76f9f2b1eab4012");
        check(
            two,
            &[0, 2_147_483_647, 1, 2_147_483_646, 2],
            "551d333177df541ad876a60ea71f00447931c0a9da16f227c11ea080d7391b8d",
        );
    }
}
