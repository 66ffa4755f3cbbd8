//! Signing and checking, which the core asks for and does not do.

/// A signature's size: Ed25519's.
pub const SIGNATURE: usize = 64;

/// A signature.
pub type Signature = [u8; SIGNATURE];

/// What a member claims to have signed.
#[derive(Clone, Copy, Debug)]
pub struct Claim<'a> {
    /// The owner.
    pub name: &'a str,
    /// The owner's identity, of its head.
    pub uid: &'a [u8; 16],
    /// What binds a key to name and uid, of its head: opaque here, at most
    /// [`crate::head::MAX_CREDENTIAL`] bytes.
    pub credential: &'a [u8],
    /// What was signed. The fleet's id has to be signed with it; adding it is the keys' part, so
    /// that it costs no bytes in records.
    pub signed: &'a [u8],
    /// The signature.
    pub signature: &'a Signature,
}

/// The keys of one member: its own, and what it trusts.
///
/// `net` answers with Ed25519, the simulator with a keyed hash. Answers depend on nothing but
/// what is asked; expired credentials are `net`'s business when links are made.
pub trait Keys: Send + Sync {
    /// Signs as this member.
    fn sign(&self, signed: &[u8]) -> Signature;

    /// Whether the credential is the hub's for that name and uid, and the signature is its key's.
    fn member_signed(&self, claim: &Claim<'_>) -> bool;

    /// Whether the hub signed this.
    fn hub_signed(&self, signed: &[u8], signature: &Signature) -> bool;
}
