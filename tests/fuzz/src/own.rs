//! What other processes of this program write, which another release or a person may have written: shared state, commands,
//! parameters.

use polaris2istio::control::Command;
use polaris2istio::converter::parse_parameters;
use polaris2istio::rollout::SharedState;

use crate::short;

pub(crate) fn state(data: &[u8]) {
    let Ok(state) = serde_json::from_slice::<SharedState>(data) else { return };
    let text = serde_json::to_string(&state).expect("what was read can be written");
    let again: SharedState = serde_json::from_str(&text).expect("what was written can be read");
    assert_eq!(again, state);
}

pub(crate) fn command(data: &[u8]) {
    let Ok(command) = serde_json::from_slice::<Command>(data) else { return };
    let text = serde_json::to_string(&command).expect("what was read can be written");
    assert_eq!(serde_json::from_str::<Command>(&text).expect("what was written can be read"), command);
}

pub(crate) fn parameters(data: &[u8]) {
    let Some(parameters) = short(parse_parameters(data)) else { return };
    assert!(parameters.windows(2).all(|pair| pair[0].0 != pair[1].0), "{parameters:?}");
}
