//! A text that is made when somebody asks, and is one and the same for all who ask meanwhile: whatever clients do and do not
//! read, a few copies of it are in memory at most.

use std::sync::{Arc, Weak};
use std::time::Instant;

use bytes::Bytes;
use tokio::sync::Mutex;

/// Older texts that may still be read while another is made. With more, the newest is given out again, however old.
const OLDER: usize = 2;

/// The text as it was made last, and those that somebody reads.
#[derive(Default)]
pub(super) struct SharedBody {
    made: Mutex<Made>,
}

#[derive(Default)]
struct Made {
    /// With the moment from which on it was made.
    newest: Option<(Instant, Arc<Vec<u8>>)>,
    older: Vec<Weak<Vec<u8>>>,
}

/// A text whose memory others share.
struct Shared(Arc<Vec<u8>>);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        &self.0
    }
}

impl SharedBody {
    /// The text, made on a thread for work that blocks, unless another was begun after this was asked for, or too many are still
    /// being read.
    ///
    /// # Errors
    ///
    /// It cannot be made.
    pub(super) async fn get(
        &self,
        make: impl FnOnce() -> Result<Vec<u8>, String> + Send + 'static,
    ) -> Result<Bytes, String> {
        let asked = Instant::now();
        let mut made = self.made.lock().await;
        made.older.retain(|older| older.strong_count() > 0);
        if let Some((begun, body)) = &made.newest
            && (*begun >= asked || made.older.len() >= OLDER)
        {
            return Ok(Bytes::from_owner(Shared(Arc::clone(body))));
        }
        if let Some((_, body)) = made.newest.take() {
            made.older.push(Arc::downgrade(&body));
        }
        let begun = Instant::now();
        let body = tokio::task::spawn_blocking(make).await.map_err(|error| error.to_string())??;
        let body = Arc::new(body);
        made.newest = Some((begun, Arc::clone(&body)));
        Ok(Bytes::from_owner(Shared(body)))
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[tokio::test]
    async fn there_are_few_of_it_whatever_is_read() {
        let shared = SharedBody::default();
        let mut read = Vec::new();
        for number in 0..10u8 {
            read.push(shared.get(move || Ok(vec![number])).await.unwrap());
        }
        let texts: Vec<u8> = read.iter().map(|body| body[0]).collect();
        assert_eq!(texts, [0, 1, 2, 2, 2, 2, 2, 2, 2, 2]);
        read.clear();
        assert_eq!(&shared.get(|| Ok(vec![10])).await.unwrap()[..], [10]);
        assert_eq!(shared.get(|| Err("no".into())).await, Err("no".into()));
        assert_eq!(&shared.get(|| Ok(vec![12])).await.unwrap()[..], [12], "a failure is not kept");
    }

    #[tokio::test]
    async fn those_who_ask_meanwhile_share_the_next() {
        let (shared, count) = (SharedBody::default(), Arc::new(AtomicUsize::new(0)));
        let busy = shared.made.lock().await;
        let ask = || {
            let count = Arc::clone(&count);
            shared.get(move || Ok(vec![count.fetch_add(1, Ordering::SeqCst) as u8]))
        };
        let asked = futures::future::join_all([ask(), ask(), ask()]);
        let (bodies, ()) = tokio::join!(asked, async { drop(busy) });
        assert_eq!(bodies.len(), 3);
        assert_eq!(count.load(Ordering::SeqCst), 1, "{bodies:?}");
        assert_eq!(ask().await.unwrap()[..], [1], "who asks later has a new one");
    }
}
