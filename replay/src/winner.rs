//! The winner: the model that may trade, and the signed record of what it earned on the range that was held out.
//!
//! ```text
//! WINNER/
//!   metrics.json                  avg_reward, evaluated_at, steps, model_hash; measured: where; signer, signature
//!   MODEL_HASH.safetensors        the model, never changed
//!   journal/                      every model that was offered, and what became of it
//! ```
//!
//! - `metrics.json` is renamed into place last, after model and journal are synced: a crash leaves the old winner or the
//!   new, or an old one that the journal says was replaced, which is refused until the model is promoted again.
//! - A model replaces a winner only when its average reward is strictly better, measured on the same range, symbols, data
//!   and charges; the first valid one is taken. Where its evaluation makes no statement it may trade on paper,
//!   and whatever says something takes its place.
//! - What trades at a broker was measured under that session's charges.
//! - Promotion signs the record with the sealing key. Whoever cannot sign cannot change a number of it, put it beside
//!   another model, or make one up; whoever holds the key can. An older record that is put back is still signed: it is the
//!   journal that tells, as long as nobody takes it away or back too.
//! - A winner that is missing, invalid, unsigned, changed, signed by somebody else, without its model or below a gate is
//!   an error that names the file and says what to do.
//! - Must never: promote a model on the evaluation of another one, or believe the key that a record brings itself.

mod ground;

pub use ground::{Ground, LEAST_SESSIONS, NO_CHARGES};

use crate::catalog::hex;
use crate::error::ReplayError;
use daybook_config::{FeeSchedule, Settings};
use daybook_inference::tensors::write_whole;
use daybook_inference::{Model, ModelError};
use daybook_journal::{Draft, Hash, Journal, Options, PublicKey, SIGNATURE_BYTES, SealKey, Writer, flags};
use daybook_vocabulary::{Event, Hash as ModelHash, ModelNumber, PayloadBuffer, Promotion};
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};

/// What `metrics.json` says of its model.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct WinnerRecord {
    /// Average reward on the range that was held out, in R a trade.
    pub avg_reward: f64,
    /// When it was evaluated, RFC 3339.
    pub evaluated_at: String,
    /// Steps it was trained for.
    pub steps: u64,
    /// Content hash of the model file.
    pub model_hash: String,
    /// Where the reward was measured.
    pub measured: Ground,
}

/// Who signed a record, and the signature; hexadecimal, beside the record's own fields.
#[derive(Deserialize)]
struct Signed {
    signer: Option<String>,
    signature: Option<String>,
}

/// A record as it is written.
#[derive(Serialize)]
struct Written<'a> {
    #[serde(flatten)]
    record: &'a WinnerRecord,
    signer: String,
    signature: String,
}

/// What became of a candidate.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Promoted {
    /// Was it promoted?
    pub promoted: bool,
    /// Why, or why not.
    pub reason: String,
    /// The candidate's record.
    pub candidate: WinnerRecord,
    /// The winner before.
    pub previous: Option<WinnerRecord>,
    /// How many models this folder was offered so far, this one included: the more, the more the best owes to chance.
    #[serde(default)]
    pub offered: usize,
}

/// A winner that is whole: what it earned, and its model.
#[derive(Debug)]
pub struct Winner {
    /// The record, as it was signed.
    pub record: WinnerRecord,
    /// The model file.
    pub path: PathBuf,
    /// The model, which hashes to what the record says.
    pub model: Model,
}

/// Where the key lies that a winner's signature is checked by. It is never taken from the record.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Trust {
    /// A public key's file, where somebody else promotes.
    pub public: Option<PathBuf>,
    /// The sealing key's file, where the same person promotes and trades.
    pub sealing: Option<PathBuf>,
}

/// Name of the record in a winner's folder.
pub const METRICS: &str = "metrics.json";
const JOURNAL: &str = "journal";
const PREAMBLE: &[u8] = b"daybook winner 2\n";
const AGAIN: &str = "remove it and promote the model again (`daybook promote`)";

impl Trust {
    /// What the settings say: `learn.winner_key`, else the sealing key.
    pub fn of(settings: &Settings) -> Self {
        Self { public: settings.learn_winner_key.clone(), sealing: settings.seal_key_file.clone() }
    }

    /// The key that is believed. No key is made here: one that is made now has signed nothing.
    pub fn key(&self) -> Result<PublicKey, ReplayError> {
        const HINT: &str =
            "promote the model here, or name the public key of who did with the setting learn.winner_key";
        if let Some(path) = &self.public {
            return Ok(PublicKey::load(path)?);
        }
        match &self.sealing {
            Some(path) if path.exists() => Ok(SealKey::load_or_create(path)?.public()),
            Some(path) => {
                let what = format!("a winner's signature cannot be checked without the sealing key: {HINT}");
                Err(fault(path, what))
            }
            None => Err(ReplayError::Model(format!(
                "a winner's signature cannot be checked: neither XDG_CONFIG_HOME nor HOME says where the sealing key is; {HINT}"
            ))),
        }
    }
}

impl Promoted {
    /// The event that a journal keeps.
    pub fn event(&self) -> Result<Promotion, ReplayError> {
        let hash = |record: &WinnerRecord| {
            let wrong = |_| ReplayError::Model(format!("{} is no hash of a model", record.model_hash));
            record.model_hash.parse::<ModelHash>().map_err(wrong)
        };
        // What is beyond a float of 32 bits is kept at its bound.
        let number = |record: &WinnerRecord| {
            let bounded = record.avg_reward.clamp(f32::MIN.into(), f32::MAX.into());
            ModelNumber::new(bounded as f32).unwrap_or_default()
        };
        Ok(Promotion {
            model: hash(&self.candidate)?,
            previous: self.previous.as_ref().map(hash).transpose()?,
            avg_reward: number(&self.candidate),
            previous_reward: self.previous.as_ref().map(number),
            promoted: self.promoted,
            reason: self.reason.clone(),
        })
    }
}

impl WinnerRecord {
    /// The bytes that are signed: a preamble, the reward's 64 bits and the steps (little-endian), then model hash and
    /// time of the evaluation, each behind its length, then where it was measured.
    fn statement(&self) -> Vec<u8> {
        let mut bytes = PREAMBLE.to_vec();
        bytes.extend(self.avg_reward.to_bits().to_le_bytes());
        bytes.extend(self.steps.to_le_bytes());
        for text in [&self.model_hash, &self.evaluated_at] {
            bytes.extend((text.len() as u64).to_le_bytes());
            bytes.extend(text.as_bytes());
        }
        self.measured.sign_into(&mut bytes);
        bytes
    }

    /// The text of a `metrics.json` signed with a key. What is signed is the record as it will be read back.
    fn signed_text(&self, key: &SealKey) -> String {
        let plain = serde_json::to_string(self).expect("plain data becomes JSON");
        let read: Self = serde_json::from_str(&plain).expect("what was just written reads back");
        let written = Written {
            record: self,
            signer: key.public().to_string(),
            signature: hex(&key.sign_statement(&read.statement())),
        };
        let mut text = serde_json::to_string_pretty(&written).expect("plain data becomes JSON");
        text.push('\n');
        text
    }

    /// Reads the record of a winner's folder: complete, possible, and signed by the key that is believed.
    pub fn read(folder: &Path, trust: &Trust) -> Result<Self, ReplayError> {
        let path = folder.join(METRICS);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
                return Err(fault(&path, "there is no winner: promote a model (`daybook promote`)"));
            }
            Err(error) => return Err(fault(&path, format!("the winner's record cannot be read: {error}"))),
        };
        let refuse = |what: String| fault(&path, format!("{what}; {AGAIN}"));
        let unread = |error: serde_json::Error| refuse(format!("the winner's record does not parse: {error}"));
        let record: Self = serde_json::from_str(&text).map_err(unread)?;
        let signed: Signed = serde_json::from_str(&text).map_err(unread)?;
        let hash = &record.model_hash;
        if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(refuse(format!("model_hash {hash:?} is not 64 hexadecimal digits")));
        }
        if !record.avg_reward.is_finite() {
            return Err(refuse("avg_reward is not a number".to_owned()));
        }
        record.check(&signed, trust, &path)?;
        Ok(record)
    }

    fn check(&self, signed: &Signed, trust: &Trust, path: &Path) -> Result<(), ReplayError> {
        let refuse = |what: &str| fault(path, format!("{what}; {AGAIN}"));
        let (Some(signer), Some(signature)) = (&signed.signer, &signed.signature) else {
            return Err(refuse("the winner's record is not signed"));
        };
        let trusted = trust.key()?;
        if *signer != trusted.to_string() {
            let what = format!(
                "the winner's record is signed by the key {signer}, believed is {trusted}: promote the model here, or name \
                 the public key of who did with the setting learn.winner_key"
            );
            return Err(fault(path, what));
        }
        match signature_of(signature) {
            Some(signature) if trusted.signed(&self.statement(), &signature) => Ok(()),
            _ => Err(refuse("its signature does not hold: the winner's record was changed after the promotion")),
        }
    }

    /// The file of the model it names.
    pub fn model_file(&self, folder: &Path) -> PathBuf {
        folder.join(format!("{}.safetensors", self.model_hash))
    }
}

/// The winner of a folder: its record and its model, which hashes to what the record says, and is the one that was promoted
/// last where the folder has its journal.
pub fn read_winner(folder: &Path, trust: &Trust) -> Result<Winner, ReplayError> {
    let winner = whole(folder, trust)?;
    let last = offers(folder)?.into_iter().rev().find(|offer| offer.promoted);
    if let Some(last) = last.filter(|last| last.model.to_string() != winner.record.model_hash) {
        let what = format!(
            "the folder's journal says that {} was promoted last: an older record was put back, or the promotion was cut off; \
             promote that model again (`daybook promote`)",
            last.model
        );
        return Err(fault(&folder.join(METRICS), what));
    }
    Ok(winner)
}

/// Every model that a winner's folder was offered, in order; nothing where it has no journal.
pub fn offers(folder: &Path) -> Result<Vec<Promotion>, ReplayError> {
    let path = folder.join(JOURNAL);
    if !path.exists() {
        return Ok(Vec::new());
    }
    let journal = Journal::open(&path)?;
    let mut cursor = journal.cursor(0);
    let mut offers = Vec::new();
    while let Some(frame) = cursor.next()? {
        let event = Event::decode(frame.kind, frame.schema, frame.payload);
        let undecoded = |source| ReplayError::Frame { journal: path.clone(), seq: frame.seq, source };
        if let Event::Promotion(offer) = event.map_err(undecoded)? {
            offers.push(offer);
        }
    }
    Ok(offers)
}

/// Journals what became of an offer; says how many there were.
fn note(folder: &Path, promoted: &Promoted) -> Result<usize, ReplayError> {
    let event = Event::Promotion(promoted.event()?);
    let mut writer = Writer::open_or_create(&folder.join(JOURNAL), Options::session())?;
    let mut payload = PayloadBuffer::new();
    let schema = event.encode(&mut payload);
    // It has no clock: an offer's time is its model's steps, and each begins a run.
    let time = i64::try_from(promoted.candidate.steps).unwrap_or(i64::MAX);
    let draft = Draft { time, kind: event.kind().number(), schema, flags: flags::RUN_START, stream: 0 };
    writer.append(draft, &payload)?;
    writer.close()?;
    Ok(offers(folder)?.len())
}

fn whole(folder: &Path, trust: &Trust) -> Result<Winner, ReplayError> {
    let record = WinnerRecord::read(folder, trust)?;
    let path = record.model_file(folder);
    if !path.exists() {
        let what = format!("the model that {METRICS} names is not there: put it back, or promote it again");
        return Err(fault(&path, what));
    }
    let model = Model::read(&path)?;
    if model.hash != record.model_hash {
        let (recorded, found) = (record.model_hash, model.hash);
        return Err(ModelError::Tampered { file: path, recorded, found }.into());
    }
    Ok(Winner { record, path, model })
}

/// The winner, if it may trade under these charges (the name of a fee schedule): RL-22's gate.
pub fn require_winner(folder: &Path, least: f64, charges: &str, trust: &Trust) -> Result<Winner, ReplayError> {
    let winner = read_winner(folder, trust)?;
    let measured = &winner.record.measured;
    let again = format!(
        "evaluate it with the session's (`daybook evaluate --set costs={charges}`) and promote it into another winner folder"
    );
    if !measured.makes_a_statement() {
        let what = format!("{}; train on, and promote what earns more", says_nothing(&winner.record));
        return Err(fault(&folder.join(METRICS), what));
    }
    if measured.charges == NO_CHARGES {
        let what = format!("the winner's reward was measured without charges (costs=none): {again}");
        return Err(fault(&folder.join(METRICS), what));
    }
    if measured.charges != charges {
        let own = &measured.charges;
        let what = format!(
            "the winner's reward was measured under other charges, {own}, than the session's, {charges}: {again}"
        );
        return Err(fault(&folder.join(METRICS), what));
    }
    if measured.charges_hash != FeeSchedule::parse(charges)?.hash().to_string() {
        let what =
            format!("the winner's reward was measured under other rates of {charges} than the session's: {again}");
        return Err(fault(&folder.join(METRICS), what));
    }
    // Written so that a threshold that is no number refuses too.
    if winner.record.avg_reward >= least {
        return Ok(winner);
    }
    let what = format!(
        "the winner earned {} R a trade on the range held out, {least} are asked for (winner_min_avg_reward): train on",
        winner.record.avg_reward
    );
    Err(fault(&folder.join(METRICS), what))
}

/// Makes the model the winner if it is strictly better than the one there, or if there is none; signs its record with
/// `key`, which must be the one that is believed. The winner before must be whole: nobody knows else what there is to beat.
pub fn promote(
    model: &Path,
    candidate: WinnerRecord,
    folder: &Path,
    (key, trust): (&SealKey, &Trust),
) -> Result<Promoted, ReplayError> {
    let own = Model::read(model)?;
    if own.hash != candidate.model_hash {
        let what =
            format!("the evaluation is of {}, the model is {}: evaluate it again", candidate.model_hash, own.hash);
        return Err(fault(model, what));
    }
    if !candidate.avg_reward.is_finite() {
        return Err(fault(model, "its average reward is not a number: evaluate it again"));
    }
    let trusted = trust.key()?;
    if trusted != key.public() {
        let what = format!(
            "this would be signed by the key {}, but {trusted} is believed: take learn.winner_key out, or promote where its \
             key is",
            key.public()
        );
        return Err(fault(folder, what));
    }
    let previous = match folder.join(METRICS).exists() {
        true => Some(whole(folder, trust)?.record),
        false => None,
    };
    if previous.is_some() && !candidate.measured.makes_a_statement() {
        return Err(fault(model, format!("{}; evaluate it on a longer range, or train on", says_nothing(&candidate))));
    }
    // A winner that was the first, and of which nothing can be said, is none to be measured against.
    let rival = previous.as_ref().filter(|before| before.measured.makes_a_statement());
    if let Some(unlike) = rival.and_then(|before| candidate.measured.unlike(&before.measured)) {
        let what = format!(
            "the model was not measured as the winner was: {unlike}; evaluate it as the winner was, or evaluate the \
             winner's model as this one was and begin another winner folder with it"
        );
        return Err(fault(&folder.join(METRICS), what));
    }
    let (promoted, reason) = match rival {
        None if !candidate.measured.makes_a_statement() => {
            let what = says_nothing(&candidate);
            (true, format!("there was no winner before; {what}, so at a broker it is refused"))
        }
        None if previous.is_some() => (true, "nothing could be said of the winner before".to_owned()),
        None => (true, "there was no winner before".to_owned()),
        Some(before) if candidate.avg_reward > before.avg_reward => {
            (true, format!("{} R a trade is strictly better than {}", candidate.avg_reward, before.avg_reward))
        }
        Some(before) => {
            (false, format!("{} R a trade is not strictly better than {}", candidate.avg_reward, before.avg_reward))
        }
    };
    let mut outcome = Promoted { promoted, reason, candidate, previous, offered: 0 };
    std::fs::create_dir_all(folder).map_err(ReplayError::file(folder))?;
    if promoted {
        let bytes = std::fs::read(model).map_err(ReplayError::file(model))?;
        write_whole(&outcome.candidate.model_file(folder), &bytes)?;
    }
    outcome.offered = note(folder, &outcome)?;
    if promoted {
        write_whole(&folder.join(METRICS), outcome.candidate.signed_text(key).as_bytes())?;
    }
    Ok(outcome)
}

fn says_nothing(record: &WinnerRecord) -> String {
    let trades = record.measured.trades;
    format!(
        "its evaluation makes no statement: {trades} trades are too few, it takes trades in {LEAST_SESSIONS} sessions at \
         least"
    )
}

fn fault(file: &Path, what: impl Into<String>) -> ReplayError {
    ReplayError::Winner { file: file.to_owned(), what: what.into() }
}

/// A signature from its digits: as many as two hashes have.
fn signature_of(text: &str) -> Option<[u8; SIGNATURE_BYTES]> {
    let (first, second) = text.split_at_checked(64)?;
    let [first, second] = [Hash::from_hex(first)?.0, Hash::from_hex(second)?.0];
    [first, second].concat().try_into().ok()
}
