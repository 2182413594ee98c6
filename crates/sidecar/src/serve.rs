//! Answers one request: reads it, carries it out on the host, and writes the result.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use rustix::thread::{LinkNameSpaceType, move_into_link_name_space};

use crate::look::Etcd;
use crate::protocol::{Answer, Asked, PROTOCOL, Request, Seen, read, write};
use crate::snapshots::{copied, shelf};
use crate::{api_server, aside, clean, hand_over, kernel, look, network, pods, put};

/// The path in the container of the host's files.
pub const HOST: &str = "/host";
/// Works on the host's files as they are mounted at [`HOST`].
pub const AT_HOST: &str = "--at-host";
/// Works in the host's own mount namespace, so that it can unmount: it needs the host's processes and all
/// privileges.
pub const IN_HOST: &str = "--in-host";

/// Serves the request on stdin.
pub(crate) fn serve(arguments: &[OsString]) -> ExitCode {
    let entered = match arguments.first().and_then(|argument| argument.to_str()) {
        Some(AT_HOST) => rustix::process::chroot(HOST).map_err(io::Error::from),
        Some(IN_HOST) => enter_host(),
        _ => return ExitCode::from(crate::USAGE),
    };
    let entered = entered.and_then(|()| std::env::set_current_dir("/"));
    match answer_to(entered, io::stdin().lock(), io::stdout().lock()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    }
}

fn enter_host() -> io::Result<()> {
    let mounts = File::open("/proc/1/ns/mnt")?;
    move_into_link_name_space(mounts.as_fd(), Some(LinkNameSpaceType::Mount))?;
    Ok(())
}

fn answer_to(entered: io::Result<()>, from: impl Read, to: impl Write) -> io::Result<()> {
    let asked: Asked = read(from)?;
    let answer = match entered {
        Err(error) => Answer::Failed(format!("the host's files cannot be reached: {error}")),
        Ok(()) => answer(asked),
    };
    write(to, &answer)
}

/// Carries out a request on the files that this process sees.
pub fn answer(asked: Asked) -> Answer {
    if asked.protocol != PROTOCOL {
        return Answer::Failed(format!("it speaks version {PROTOCOL}, and was asked in {}", asked.protocol));
    }
    let done = match asked.request {
        Request::Look { files, directories, of_etcd, etcd_data, ledgers, snapshots } => {
            let etcd = Etcd { directories: of_etcd, data: etcd_data };
            look::look(&files, &ledgers, &directories, &etcd).map(|seen| {
                // Whether snapshots are fresh is no reason for a look to fail.
                let rolling = snapshots.and_then(|path| look::if_near(&path, shelf::rolling)).flatten();
                Answer::Seen(Box::new(Seen { rolling, ..seen }))
            })
        }
        Request::Read { path } => look::content(&path).map(Answer::Content),
        Request::Put { files } => put::put(&files).map(|()| Answer::Done),
        Request::SetKernel { modules, sysctls } => kernel::set(&modules, &sysctls).map(|()| Answer::Done),
        Request::Remove { paths } => clean::remove(&paths).map(|()| Answer::Done),
        Request::Move { path, to } => aside::move_aside(&path, &to).map(|()| Answer::Done),
        Request::HandOver { directory, owner } => {
            hand_over::hand_over(&directory, owner).map(|()| Answer::Done)
        }
        Request::RemovePods { kubelet } => pods::remove(&kubelet).map(|()| Answer::Done),
        Request::CleanNetwork => network::clean().map(|()| Answer::Done),
        Request::ListSnapshots { directory } => shelf::list(&directory).map(Answer::Snapshots),
        Request::VerifySnapshot { directory, name } => {
            shelf::verify(&directory, &name).map(|seen| Answer::Snapshots(vec![seen]))
        }
        Request::UnpackSnapshot { directory, name } => {
            shelf::unpack(&directory, &name).map(|seen| Answer::Snapshots(vec![seen]))
        }
        Request::CheckRoom { bytes } => shelf::check_dockers_room(bytes).map(|()| Answer::Done),
        Request::CountObjects(counting) => api_server::count(&counting).map(Answer::Counted),
        Request::SaveSnapshot(wanted) => shelf::save(&wanted).map(|seen| Answer::Snapshots(vec![seen])),
        Request::DeleteSnapshot { directory, name } => {
            shelf::delete(&directory, &name).map(|()| Answer::Done)
        }
        Request::ListBucket { description } => copied::list(&description).map(Answer::InBucket),
        Request::CopyToBucket { description, directory, name, member } => {
            copied::copy(&description, &directory, &name, &member).map(|copy| Answer::InBucket(vec![copy]))
        }
        Request::FetchFromBucket { description, directory, snapshot } => {
            copied::fetch(&description, &directory, &snapshot).map(|seen| Answer::Snapshots(vec![seen]))
        }
        Request::DeleteFromBucket { description, place, name } => {
            copied::delete(&description, &place, &name).map(|()| Answer::Done)
        }
        Request::HoldCopy { snapshot, holder } => shelf::hold_copy(&snapshot, holder).map(Answer::Held),
        Request::AcceptCopy { snapshot } => shelf::accept_copy(&snapshot).map(Answer::Held),
        Request::PrepareMember(forming) => shelf::is_formed(&forming).map(Answer::Held),
        Request::AdoptMember(forming) => shelf::adopt(&forming).map(|()| Answer::Done),
        Request::Unmount { below } => clean::unmount(&below).map(|()| Answer::Done),
    };
    done.unwrap_or_else(|error| Answer::Failed(error.to_string()))
}
