//! A child process that dies with the test, and whose log is at hand.

use std::ffi::OsString;
use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use super::spawner;
use crate::poll::wait_for;

/// A program with its arguments, that can be started more than once.
#[derive(Clone, Debug)]
pub struct Program {
    path: PathBuf,
    args: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    directory: PathBuf,
    log: PathBuf,
}

impl Program {
    /// A program that runs in `directory` and logs there, to `<its name>.log`.
    pub fn new(path: &Path, directory: &Path) -> Self {
        let name = path.file_name().expect("a program has a name");
        Self {
            path: path.into(),
            args: Vec::new(),
            environment: Vec::new(),
            directory: directory.into(),
            log: directory.join(name).with_extension("log"),
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<OsString>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args(mut self, args: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets a variable of the environment, which is otherwise the test's.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Logs (both standard output and error) to this file instead.
    pub fn log(mut self, log: impl Into<PathBuf>) -> Self {
        self.log = log.into();
        self
    }

    /// Starts it. The log is appended to.
    pub fn start(&self) -> Process {
        let log = File::options().create(true).append(true).open(&self.log).expect("the log can be written");
        // setpriv becomes the program, so the process id is the program's.
        let mut command = Command::new("setpriv");
        command
            .args(["--pdeathsig", "KILL", "--"])
            .arg(&self.path)
            .args(&self.args)
            .envs(self.environment.iter().cloned())
            .current_dir(&self.directory)
            .stdin(Stdio::null())
            .stdout(log.try_clone().expect("a file handle can be copied"))
            .stderr(log);
        let child =
            spawner::spawn(command).unwrap_or_else(|error| panic!("setpriv (Debian package util-linux): {error}"));
        Process { child, log: self.log.clone(), name: self.path.display().to_string() }
    }
}

/// A running (or ended) program. It is killed when dropped.
#[derive(Debug)]
pub struct Process {
    child: Child,
    log: PathBuf,
    name: String,
}

impl Process {
    /// Its process id.
    pub fn id(&self) -> u32 {
        self.child.id()
    }

    /// How it ended, if it has.
    pub fn ended(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().expect("a child can be waited for")
    }

    /// Waits for it to end by itself.
    pub async fn wait(&mut self, deadline: Duration) -> ExitStatus {
        let what = format!("{} ends", self.name);
        wait_for(&what, deadline, || {
            let ended = self.ended().ok_or("still running");
            async move { ended }
        })
        .await
    }

    /// Asks it to end, by SIGTERM, and waits until it has.
    pub async fn terminate(&mut self, deadline: Duration) -> ExitStatus {
        if let Some(status) = self.ended() {
            return status;
        }
        self.signal("TERM");
        self.wait(deadline).await
    }

    /// Sends a signal, by its name without SIG: STOP freezes it, CONT lets it go on.
    pub fn signal(&self, name: &str) {
        // The shell's own kill: the standard library can send SIGKILL only, and
        // a crate for it would give others of the workspace other features, so
        // that much would be compiled twice.
        let kill = format!("kill -{name} {}", self.id());
        let sent = Command::new("sh").args(["-c", &kill]).status();
        assert!(sent.is_ok_and(|status| status.success()), "{kill} failed");
    }

    /// Ends it at once, by SIGKILL, as a crash would.
    pub fn kill(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// All that it has logged so far.
    pub fn log(&self) -> String {
        String::from_utf8_lossy(&fs::read(&self.log).unwrap_or_default()).into_owned()
    }

    /// The last lines of the log, for messages.
    pub fn log_tail(&self) -> String {
        let log = self.log();
        let lines: Vec<_> = log.lines().collect();
        let tail = lines[lines.len().saturating_sub(20)..].join("\n");
        format!("the end of {}:\n{tail}", self.log.display())
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.kill();
    }
}
