//! The file that keeps a set, encrypted with a key beside it.
//!
//! The key is a file of its own, so that a backup without it holds no Secret that can be read. Who
//! has both files has the set.

use std::{
    fs, io,
    path::{Path, PathBuf},
};

use ring::{
    aead::{AES_256_GCM, Aad, LessSafeKey, NONCE_LEN, Nonce, UnboundKey},
    rand::{SecureRandom as _, SystemRandom},
};

use super::set::{Set, Whole};

const FILE: &str = "kept";
const KEY: &str = "kept.key";

/// What the file is, and its format.
const LABEL: &[u8] = b"kogge kept 1";

#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    #[error("could not read or write {path}")]
    File { path: PathBuf, source: io::Error },
    #[error("{path} cannot be decrypted with the key beside it")]
    Sealed { path: PathBuf },
    #[error("{path} is not understood")]
    Format { path: PathBuf, source: serde_json::Error },
    #[error("there is no randomness to encrypt with")]
    Random,
}

pub(super) struct File {
    path: PathBuf,
    key: LessSafeKey,
}

impl File {
    /// The key is made where there is none.
    pub fn open(dir: &Path) -> Result<Self, KeptError> {
        let key_path = dir.join(KEY);
        let bytes = match fs::read(&key_path) {
            Ok(bytes) if bytes.len() == AES_256_GCM.key_len() => bytes,
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                return Err(KeptError::File { path: key_path, source });
            }
            _ => {
                let mut bytes = vec![0; AES_256_GCM.key_len()];
                SystemRandom::new().fill(&mut bytes).map_err(|_| KeptError::Random)?;
                write_private(&key_path, &bytes)?;
                bytes
            }
        };
        let key = UnboundKey::new(&AES_256_GCM, &bytes).expect("the length was looked at");
        Ok(Self { path: dir.join(FILE), key: LessSafeKey::new(key) })
    }

    pub fn read(&self) -> Result<Option<Set>, KeptError> {
        let path = || self.path.clone();
        let mut bytes = match fs::read(&self.path) {
            Ok(bytes) => bytes,
            Err(source) if source.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(KeptError::File { path: path(), source }),
        };
        let sealed = || KeptError::Sealed { path: path() };
        let (nonce, body) = bytes.split_at_mut_checked(NONCE_LEN).ok_or_else(sealed)?;
        let nonce = Nonce::try_assume_unique_for_key(nonce).map_err(|_| sealed())?;
        let opened = self.key.open_in_place(nonce, Aad::from(LABEL), body);
        let opened = opened.map_err(|_| sealed())?;
        let whole: Whole = serde_json::from_slice(opened)
            .map_err(|source| KeptError::Format { path: path(), source })?;
        Ok(Some(whole.into()))
    }

    pub fn write(&self, set: &Whole) -> Result<(), KeptError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| KeptError::Random)?;
        let mut body = serde_json::to_vec(set)
            .map_err(|source| KeptError::Format { path: self.path.clone(), source })?;
        let unique = Nonce::assume_unique_for_key(nonce);
        self.key
            .seal_in_place_append_tag(unique, Aad::from(LABEL), &mut body)
            .map_err(|_| KeptError::Sealed { path: self.path.clone() })?;
        write_private(&self.path, &[&nonce[..], &body].concat())
    }

    pub fn remove(&self) -> Result<(), KeptError> {
        match fs::remove_file(&self.path) {
            Err(source) if source.kind() != io::ErrorKind::NotFound => {
                Err(KeptError::File { path: self.path.clone(), source })
            }
            _ => Ok(()),
        }
    }
}

fn write_private(path: &Path, bytes: &[u8]) -> Result<(), KeptError> {
    let written = kogge_files::replace(path, bytes);
    written.map_err(|source| KeptError::File { path: path.to_owned(), source })
}
