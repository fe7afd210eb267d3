//! The default rules, for those instances alone whose metadata say that they belong to one environment.
//!
//! The environment is the parameter `env` (`--module-param env=prod`). An instance without `env` in its metadata belongs to
//! none. All else is as the default rules have it: they are called as a library, on a request that was made smaller.

use polaris2istio_core::model::{
    Diagnostic, Failure, Guest, ModuleInfo, Outcome, Request, Severity, Subject, Verdict, bindings, export,
};

/// Parameter of this module, and key of an instance's metadata.
const ENV: &str = "env";

struct KeepEnv;

export!(KeepEnv with_types_in bindings);

impl Guest for KeepEnv {
    fn describe() -> ModuleInfo {
        ModuleInfo {
            name: env!("CARGO_PKG_NAME").into(),
            version: env!("CARGO_PKG_VERSION").into(),
            summary: "The default rules, for the instances whose metadata name the environment of the parameter env."
                .into(),
        }
    }

    fn convert(mut request: Request) -> Result<Outcome, Failure> {
        // The default rules refuse parameters that they do not know.
        let own = request.parameters.extract_if(.., |(key, _)| key == ENV).map(|(_, value)| value);
        let env = own.last().filter(|env| !env.is_empty()).ok_or_else(|| Failure {
            message: "the parameter `env` is missing; set it, as --module-param env=prod".into(),
        })?;

        // Positions in the outcome mean the request's own list, so they are kept beside the instances that stay.
        let mut positions = Vec::new();
        let mut position = 0;
        request.service.instances.retain(|instance| {
            let stays = instance.metadata.iter().any(|(key, value)| key == ENV && *value == env);
            if stays {
                positions.push(position);
            }
            position += 1;
            stays
        });

        // The content revision is a hash of the content, so it is right for what is left as well, and so is `unchanged`.
        let mut outcome = polaris2istio_core::convert(&request)?;
        restore(&mut outcome, &positions);
        let left_out = position as usize - positions.len();
        if left_out > 0 {
            outcome.diagnostics.push(Diagnostic {
                severity: Severity::Info,
                code: "instance-other-env".into(),
                subject: Subject::Service,
                message: format!("{left_out} of {position} instances are not of the environment `{env}`, and left out"),
                remedy: String::new(),
            });
        }
        Ok(outcome)
    }
}

/// Turns positions among the instances that stayed into positions in the request.
fn restore(outcome: &mut Outcome, positions: &[u32]) {
    if let Verdict::Update(update) = &mut outcome.verdict {
        for endpoint in &mut update.endpoints {
            endpoint.instances.iter_mut().for_each(|at| *at = positions[*at as usize]);
        }
    }
    for diagnostic in &mut outcome.diagnostics {
        if let Subject::Instance(at) = &mut diagnostic.subject {
            *at = positions[*at as usize];
        }
    }
}
