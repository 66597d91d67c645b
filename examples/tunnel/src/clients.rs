//! Who is connected, by name.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard};

use taskcluster_worker::tunnel::Opener;

/// There are too many already.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Full;

/// The clients of a server.
#[derive(Debug)]
pub(crate) struct Clients {
    by_id: Mutex<HashMap<String, Opener>>,
    most: usize,
}

impl Clients {
    pub(crate) fn new(most: usize) -> Self {
        Self { by_id: Mutex::default(), most }
    }

    /// Here is one. Another of the same name goes, as with the official server: a client whose connection broke may be back long
    /// before its end is noticed here. Whether one went is said.
    pub(crate) fn enter(&self, id: &str, client: &Opener) -> Result<bool, Full> {
        let mut clients = self.clients();
        if clients.len() >= self.most && !clients.contains_key(id) {
            return Err(Full);
        }
        let former = clients.insert(id.to_owned(), client.clone());
        drop(clients);
        if let Some(former) = &former {
            former.close();
        }
        Ok(former.is_some())
    }

    /// It has gone; unless another has its name by now.
    pub(crate) fn leave(&self, id: &str, client: &Opener) {
        let mut clients = self.clients();
        if clients.get(id).is_some_and(|present| present.is(client)) {
            clients.remove(id);
        }
    }

    pub(crate) fn find(&self, id: &str) -> Option<Opener> {
        self.clients().get(id).cloned()
    }

    fn clients(&self) -> MutexGuard<'_, HashMap<String, Opener>> {
        self.by_id.lock().expect("nothing panics holding it")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_of_a_name_is_found_and_whoever_was_replaced_takes_nobody_along() {
        let clients = Clients::new(1);
        let (first, second) = (Opener::new(), Opener::new());
        assert_eq!(clients.enter("a", &first), Ok(false));
        assert_eq!(clients.enter("b", &second), Err(Full));
        assert_eq!(clients.enter("a", &second), Ok(true));
        clients.leave("a", &first);
        assert!(clients.find("a").is_some_and(|found| found.is(&second)));
        clients.leave("a", &second);
        assert!(clients.find("a").is_none());
    }
}
