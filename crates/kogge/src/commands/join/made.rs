//! What a join has made, so that one that fails leaves nothing behind.

use kogge_member::{Client, DeleteOptions, Error, Resource, object};
use serde_json::Value;

use super::HOW;

/// What was not there before, oldest first.
#[derive(Default)]
pub(super) struct Made<'a>(Vec<Object<'a>>);

struct Object<'a> {
    on: &'a Client,
    resource: &'a Resource,
    namespace: String,
    name: String,
}

impl<'a> Made<'a> {
    pub async fn apply(
        &mut self,
        on: &'a Client,
        resource: &'a Resource,
        object: &Value,
    ) -> Result<(), Error> {
        let (namespace, name) = (object::namespace(object), object::name(object));
        match on.get(resource, namespace, name).await {
            Ok(_) => {}
            // Noted before it is made: an answer that is lost may have made it.
            Err(error) if error.is_not_found() => self.0.push(Object {
                on,
                resource,
                namespace: namespace.to_owned(),
                name: name.to_owned(),
            }),
            Err(error) => return Err(error),
        }
        on.apply(resource, object, HOW).await.map(|_| ())
    }

    /// Takes it all away again, newest first; the first failure is told, and does not stop it.
    pub async fn undo(self) -> Result<(), Error> {
        let mut undone = Ok(());
        for it in self.0.into_iter().rev() {
            let options = DeleteOptions::default();
            let gone = it.on.delete(it.resource, &it.namespace, &it.name, &options).await;
            match gone {
                Err(error) if !error.is_not_found() => undone = undone.and(Err(error)),
                _ => {}
            }
        }
        undone
    }
}
