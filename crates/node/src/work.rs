//! Leases: taken, fetched for, run, signed, acknowledged or given back.

use crate::infer::Inferring;
use crate::lease::{Lease, Owed, Signed, Stage};
use crate::link::{Link, shortened};
use crate::policy::Permission;
use crate::{Action, FetchKind, Node, RunReport, SavedLease};
use grid_protocol::{
    Ack, Digest, ExitReason, Files, FromNode, GiveBackReason, LeaseId, LeaseOffer, Package,
    PublicKey, Publisher, ReceiptBody, RunResult, Runtime, Side, Signature, Spec, encode, limits,
};
use std::sync::Arc;

/// Most bytes of a hint or a detail that are sent.
const WORDS: usize = 1_000;
/// Uploads are tried so many times, two seconds apart at first, then twice as
/// long each time.
const UPLOADS: u32 = 4;
const UPLOAD_WAIT: u64 = 2_000;

impl Node {
    pub(crate) fn on_offer(&mut self, relay: PublicKey, offer: LeaseOffer, out: &mut Vec<Action>) {
        self.credit = self.credit.saturating_sub(1);
        if self.leases.contains_key(&offer.lease) {
            return;
        }
        let spec = match self.examine(&offer) {
            Ok(spec) => spec,
            Err((reason, detail)) => {
                return self.tell_given_back(offer.lease, reason, &detail, out);
            }
        };
        let module = match spec.runtime {
            Runtime::Infer => Some(Arc::default()),
            _ => self.cache.get(&spec.module),
        };
        let lease = Lease {
            token: offer.token,
            spec_digest: Digest::of(&offer.spec),
            relay,
            publisher: named(offer.publisher),
            since: self.clock,
            fuel: 0,
            inferring: Inferring::new(offer.draft),
            stage: Stage::Fetching { module, input: offer.input, asked: false },
            spec,
        };
        if let Stage::Fetching { input: None, .. } = lease.stage {
            out.push(Action::Fetch {
                lease: offer.lease,
                token: lease.token,
                digest: lease.spec.input,
                kind: FetchKind::Input,
                max_bytes: limits::MAX_INPUT as u64,
            });
        }
        let module = lease.spec.module;
        self.leases.insert(offer.lease, lease);
        self.unsaved = true;
        self.ask_for_module(&module, out);
        self.note_fetched(offer.lease);
    }

    /// Is this a lease to take? Nothing in it is trusted.
    fn examine(&self, offer: &LeaseOffer) -> Result<Spec, (GiveBackReason, String)> {
        fn unable<T>(detail: String) -> Result<T, (GiveBackReason, String)> {
            Err((GiveBackReason::Unable, detail))
        }
        if self.permission != Permission::Allowed {
            return Err((GiveBackReason::Stopped, "paused".into()));
        }
        if self.leases.len() >= usize::from(self.config.slots) {
            return unable("no free slot".into());
        }
        let spec = match Spec::decode(&offer.spec) {
            Ok(spec) => spec,
            Err(error) => return unable(format!("not a spec: {error}")),
        };
        match spec.runtime {
            Runtime::Wasm if self.config.package == Package::Full => {
                self.examine_module(offer, &spec)
            }
            Runtime::Wasm => Err("this package runs no fetched modules".into()),
            Runtime::Infer => self.examine_inference(&spec),
            _ => Err("this node doesn't know the runtime".into()),
        }
        .or_else(unable)?;
        match &offer.input {
            Some(input) if Digest::of(input) != spec.input => {
                Err((GiveBackReason::Fetch, "the input has another digest".into()))
            }
            _ => Ok(spec),
        }
    }

    fn examine_module(&self, offer: &LeaseOffer, spec: &Spec) -> Result<(), String> {
        if !self.config.admissions.contains(&spec.admission) {
            return Err(format!("unknown admission version {}", spec.admission));
        }
        if offer.module_bytes as usize > limits::MAX_ADMITTED {
            return Err("the module is too large".into());
        }
        Ok(())
    }

    /// Asks for a module, once for all leases that wait for it.
    fn ask_for_module(&mut self, digest: &Digest, out: &mut Vec<Action>) {
        let asked = self.leases.values().any(|lease| lease.wants_module(digest) == Some(true));
        let waiting =
            self.leases.iter_mut().find(|(_, lease)| lease.wants_module(digest) == Some(false));
        if let Some((id, lease)) = waiting.filter(|_| !asked)
            && let Stage::Fetching { asked, .. } = &mut lease.stage
        {
            *asked = true;
            out.push(Action::Fetch {
                lease: *id,
                token: lease.token,
                digest: *digest,
                kind: FetchKind::Module,
                max_bytes: limits::MAX_ADMITTED as u64,
            });
        }
    }

    /// Asks again for modules whose lease was over before they came.
    pub(crate) fn settle_fetches(&mut self, out: &mut Vec<Action>) {
        for digest in std::mem::take(&mut self.orphaned) {
            self.ask_for_module(&digest, out);
        }
    }

    pub(crate) fn on_fetched(
        &mut self,
        id: LeaseId,
        digest: Digest,
        result: Result<Vec<u8>, String>,
        out: &mut Vec<Action>,
    ) {
        let checked = result.and_then(|bytes| match Digest::of(&bytes) == digest {
            true => Ok(bytes),
            false => Err("the blob has another digest".into()),
        });
        match checked {
            Ok(bytes) => self.on_blob(id, digest, bytes),
            Err(detail) => {
                let Some(lease) = self.leases.get(&id) else { return };
                let Stage::Fetching { module, input, .. } = &lease.stage else { return };
                let awaited = (module.is_none() && lease.spec.module == digest)
                    || (input.is_none() && lease.spec.input == digest);
                if awaited {
                    self.give_back(id, GiveBackReason::Fetch, &detail, out);
                }
            }
        }
    }

    /// A blob came whose digest is right: for the lease that asked, and a
    /// module for all that wait for it.
    fn on_blob(&mut self, id: LeaseId, digest: Digest, bytes: Vec<u8>) {
        if let Some(lease) = self.leases.get_mut(&id)
            && lease.spec.input == digest
            && let Stage::Fetching { input: input @ None, .. } = &mut lease.stage
        {
            *input = Some(bytes.clone());
            self.note_fetched(id);
        }
        let waiting = self.leases.iter().filter(|(_, l)| l.wants_module(&digest).is_some());
        let waiting = waiting.map(|(id, _)| *id).collect::<Vec<_>>();
        if waiting.is_empty() {
            return;
        }
        let blob: Arc<[u8]> = bytes.into();
        self.cache.put(digest, blob.clone());
        for id in waiting {
            if let Some(lease) = self.leases.get_mut(&id)
                && let Stage::Fetching { module, .. } = &mut lease.stage
            {
                *module = Some(blob.clone());
            }
            self.note_fetched(id);
        }
    }

    /// Puts a lease that has all it needs among those to run.
    fn note_fetched(&mut self, id: LeaseId) {
        if let Some(lease) = self.leases.get(&id)
            && let Stage::Fetching { module: Some(_), input: Some(_), .. } = lease.stage
        {
            self.fetched.push(id);
        }
    }

    /// Hands what has been fetched to the executor.
    pub(crate) fn settle_runs(&mut self, out: &mut Vec<Action>) {
        if !self.executor.is_ready() {
            return;
        }
        for id in std::mem::take(&mut self.fetched) {
            let Some(lease) = self.leases.get_mut(&id) else { continue };
            let Stage::Fetching { module: Some(module), input: Some(input), .. } = &mut lease.stage
            else {
                continue;
            };
            let (module, input) = (module.clone(), std::mem::take(input));
            lease.stage = Stage::Running;
            let spec = lease.spec.clone();
            out.push(match spec.runtime {
                Runtime::Infer => {
                    let draft = lease.inferring.draft.take();
                    Action::Infer { lease: id, spec, input, draft }
                }
                _ => Action::Run { lease: id, spec, module, input },
            });
        }
    }

    pub(crate) fn on_progress(&mut self, id: LeaseId, fuel: u64) {
        if let Some(lease) = self.leases.get_mut(&id) {
            lease.fuel = fuel.min(lease.spec.fuel);
        }
    }

    pub(crate) fn on_failed(
        &mut self,
        id: LeaseId,
        reason: GiveBackReason,
        detail: &str,
        out: &mut Vec<Action>,
    ) {
        if self.leases.get(&id).is_some_and(|lease| matches!(lease.stage, Stage::Running)) {
            self.give_back(id, reason, detail, out);
        }
    }

    pub(crate) fn on_finished(&mut self, id: LeaseId, report: RunReport, out: &mut Vec<Action>) {
        let joined = self.link.joined();
        let Some(lease) = self.leases.get_mut(&id) else {
            out.push(Action::Drop(id));
            return;
        };
        if !matches!(lease.stage, Stage::Running) {
            return;
        }
        if let Err(detail) = check_report(&lease.spec, &report) {
            return self.give_back(id, GiveBackReason::Device, detail, out);
        }
        let digest = Digest::of(&report.output);
        lease.fuel = match report.reason {
            ExitReason::OutOfFuel => lease.spec.fuel,
            _ => report.fuel,
        };
        let body = ReceiptBody {
            relay: lease.relay,
            lease: id,
            spec: lease.spec_digest,
            input: lease.spec.input,
            reason: report.reason,
            exit_code: match report.reason {
                ExitReason::Exit => report.exit_code,
                _ => 0,
            },
            output: digest,
            check: report.check,
            fuel: lease.fuel,
            node: self.key.public(),
        };
        let receipt = body.encode();
        let signature = self.key.sign(&receipt);
        let small = report.output.len() <= limits::INLINE_BODY;
        let (output, upload) = match small {
            true => (Some(report.output), None),
            false => (None, Some(report.output)),
        };
        let hint = report.hint.map(|hint| shortened(&hint, WORDS));
        let result = Signed {
            receipt: receipt.clone(),
            signature,
            fuel: lease.fuel,
            message: encode(&FromNode::Result(RunResult { receipt, signature, output, hint })),
        };
        lease.stage = match upload {
            None => {
                if joined {
                    out.push(Action::Send(result.message.clone()));
                }
                Stage::Finished { result, sent: joined, counted: false }
            }
            Some(output) => {
                let (token, bytes) = (lease.token, output.clone());
                out.push(Action::Upload { lease: id, token, digest, bytes });
                Stage::Uploading { result, output, failures: 0, retry_at: None }
            }
        };
    }

    pub(crate) fn on_uploaded(
        &mut self,
        now: u64,
        id: LeaseId,
        uploaded: Result<(), String>,
        out: &mut Vec<Action>,
    ) {
        let joined = self.link.joined();
        let Some(lease) = self.leases.get_mut(&id) else { return };
        let Stage::Uploading { retry_at: retry_at @ None, failures, .. } = &mut lease.stage else {
            return;
        };
        if let Err(detail) = uploaded {
            *failures += 1;
            *retry_at = Some(now + (UPLOAD_WAIT << *failures.min(&mut 10)) / 2);
            if *failures >= UPLOADS {
                let detail = format!("the output could not be uploaded: {detail}");
                self.give_back(id, GiveBackReason::Device, &detail, out);
            }
            return;
        }
        if let Stage::Uploading { result, .. } = std::mem::replace(&mut lease.stage, Stage::Running)
        {
            if joined {
                out.push(Action::Send(result.message.clone()));
            }
            lease.stage = Stage::Finished { result, sent: joined, counted: false };
        }
    }

    /// Tries uploads again that failed before.
    pub(crate) fn settle_uploads(&mut self, now: u64, out: &mut Vec<Action>) {
        for (id, lease) in &mut self.leases {
            if let Stage::Uploading { output, retry_at, .. } = &mut lease.stage
                && retry_at.is_some_and(|at| at <= now)
            {
                *retry_at = None;
                let (digest, bytes) = (Digest::of(output), output.clone());
                out.push(Action::Upload { lease: *id, token: lease.token, digest, bytes });
            }
        }
    }

    pub(crate) fn uploads_need(&self) -> Option<u64> {
        let retries = self.leases.values().filter_map(|lease| match lease.stage {
            Stage::Uploading { retry_at, .. } => retry_at,
            _ => None,
        });
        retries.min()
    }

    pub(crate) fn on_ack(&mut self, ack: &Ack, signature: &Signature, out: &mut Vec<Action>) {
        let Some(lease) = self.leases.get(&ack.lease) else { return };
        let Stage::Finished { result, sent: true, counted } = &lease.stage else { return };
        let genuine = ack.receipt == Digest::of(&result.receipt)
            && (self.config.verify_ack)(&lease.relay, &ack.encode(), signature).is_ok();
        if !genuine {
            self.error = Some("the relay's acknowledgement is not signed right".into());
            return;
        }
        if !counted {
            self.tasks = self.tasks.saturating_add(1);
            self.fuel = self.fuel.saturating_add(result.fuel);
        }
        self.error = None;
        if self.config.saves {
            let kept = lease.receipted(result, ack.clone(), *signature);
            out.push(Action::Keep(Box::new(kept)));
        }
        self.end(ack.lease, out);
    }

    pub(crate) fn on_rejected(&mut self, id: LeaseId, words: &str, out: &mut Vec<Action>) {
        if self.leases.contains_key(&id) {
            self.error = Some(shortened(words, WORDS));
            self.end(id, out);
        }
    }

    pub(crate) fn on_cancel(&mut self, id: LeaseId, out: &mut Vec<Action>) {
        self.end(id, out);
    }

    /// Forgets a lease that is over.
    pub(crate) fn end(&mut self, id: LeaseId, out: &mut Vec<Action>) {
        if let Some(lease) = self.leases.remove(&id) {
            self.unsaved = true;
            self.fetched.retain(|other| *other != id);
            out.push(Action::Drop(id));
            if lease.wants_module(&lease.spec.module) == Some(true) {
                self.orphaned.push(lease.spec.module);
            }
        }
    }

    /// Gives a lease back: nothing is signed for it.
    pub(crate) fn give_back(
        &mut self,
        id: LeaseId,
        reason: GiveBackReason,
        detail: &str,
        out: &mut Vec<Action>,
    ) {
        let Some(lease) = self.leases.get(&id) else { return };
        if self.link.joined() {
            self.tell_given_back(id, reason, detail, out);
        } else {
            let detail = shortened(detail, WORDS);
            self.owed.push(Owed { lease: id, relay: lease.relay, reason, detail });
        }
        self.end(id, out);
    }

    pub(crate) fn tell_given_back(
        &mut self,
        lease: LeaseId,
        reason: GiveBackReason,
        detail: &str,
        out: &mut Vec<Action>,
    ) {
        let detail = shortened(detail, WORDS);
        let message = FromNode::GiveBack { lease, reason: reason.number(), detail };
        out.push(Action::Send(encode(&message)));
    }

    /// Gives back all that has no result yet.
    pub(crate) fn give_back_unfinished(
        &mut self,
        reason: GiveBackReason,
        detail: &str,
        out: &mut Vec<Action>,
    ) {
        let unfinished = self.leases.iter().filter(|(_, lease)| lease.unfinished());
        for id in unfinished.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.give_back(id, reason, detail, out);
        }
    }

    /// The relay has another key than the one that granted these leases: no
    /// receipt of them would be taken.
    pub(crate) fn forget_other_relays(&mut self, relay: &PublicKey, out: &mut Vec<Action>) {
        self.owed.retain(|owed| owed.relay == *relay);
        let others = self.leases.iter().filter(|(_, lease)| lease.relay != *relay);
        for id in others.map(|(id, _)| *id).collect::<Vec<_>>() {
            self.end(id, out);
        }
    }

    pub(crate) fn settle_saved(&mut self, out: &mut Vec<Action>) {
        if !std::mem::take(&mut self.unsaved) || !self.config.saves {
            return;
        }
        let saved = self.leases.iter().map(|(id, lease)| SavedLease {
            lease: *id,
            token: lease.token,
            spec: lease.spec.clone(),
            relay: lease.relay,
            publisher: lease.publisher.clone(),
        });
        out.push(Action::Save(saved.collect()));
    }

    /// Announces free slots.
    ///
    /// A number is announced only when all leases of the number before have
    /// come: then none is on its way, and the relay can't send more than there
    /// are slots. While acknowledgements are due, slots gather first.
    pub(crate) fn settle_ready(&mut self, out: &mut Vec<Action>) {
        let Link::Joined { .. } = self.link else { return };
        let open = self.permission == Permission::Allowed && self.executor.is_ready();
        let held = u8::try_from(self.leases.len()).unwrap_or(u8::MAX);
        let free = self.config.slots.saturating_sub(held);
        let announce = match (open, self.credit) {
            (false, 0) => None,
            (false, _) => Some(0),
            (true, 0) if free > 0 => {
                let gathered = u16::from(free) * 2 >= u16::from(self.config.slots);
                let idle = !self.leases.values().any(Lease::awaits_ack);
                (gathered || idle).then_some(free)
            }
            (true, _) => None,
        };
        if let Some(slots) = announce {
            self.credit = slots;
            out.push(Action::Send(encode(&FromNode::Ready { slots })));
        }
    }
}

/// A publisher's names as they may be shown: no longer than names are, and
/// without control characters.
fn named(publisher: Option<Publisher>) -> Publisher {
    let clean = |name: String, most| name.chars().filter(|c| !c.is_control()).take(most).collect();
    let Publisher { owner, job } = publisher.unwrap_or_default();
    Publisher { owner: clean(owner, limits::MAX_OWNER_NAME), job: clean(job, limits::MAX_JOB_NAME) }
}

/// A report that breaks its spec is the device's fault, not an answer.
fn check_report(spec: &Spec, report: &RunReport) -> Result<(), &'static str> {
    if report.fuel > spec.fuel {
        return Err("the run used more fuel than its limit");
    }
    match Files::decode(Side::Output, &report.output) {
        Ok(files) if files.size() <= spec.output_bytes => Ok(()),
        Ok(_) => Err("the run left more output than its limit"),
        Err(_) => Err("the run's output is not a list of files"),
    }
}
