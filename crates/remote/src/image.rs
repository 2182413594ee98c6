//! The image `windlass/node`: only this very program, written as a stream, so that it is never in memory as a
//! whole.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tar::{Builder, EntryType, Header};
use windlass_model::{Digest, ImageRef};
use windlass_sidecar::{HOST, PROGRAM};

use crate::labels;

/// Where the program is in the image: on the path that Docker sets for images without one.
const DIRECTORY: &str = "bin";

/// Why the program cannot be copied to nodes.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// It cannot be read.
    #[error("{}: {source}", path.display())]
    Unreadable {
        /// The program.
        path: PathBuf,
        /// The error.
        source: io::Error,
    },
    /// It needs libraries that nodes may lack.
    #[error("{} is not one static file, so it cannot run on nodes: build it by `cargo build --package windlass` in its repository", path.display())]
    Dynamic {
        /// The program.
        path: PathBuf,
    },
}

/// The image, which can be written as often as there are nodes.
#[derive(Clone, Debug)]
pub(crate) struct NodeImage {
    program: PathBuf,
    /// The digest of the program, by which a node is known to have this very one.
    pub(crate) digest: Digest,
    config: String,
    layer_size: u64,
    name: ImageRef,
}

impl NodeImage {
    /// Reads the program once.
    pub(crate) fn of(program: &Path, name: &ImageRef) -> Result<Self, ImageError> {
        let unreadable = |source| ImageError::Unreadable { path: program.to_owned(), source };
        let mut file = File::open(program).map_err(unreadable)?;
        if is_dynamic(&mut file).map_err(unreadable)? {
            return Err(ImageError::Dynamic { path: program.to_owned() });
        }
        let mut content = Sha256::new();
        io::copy(&mut file, &mut HashWriter(&mut content)).map_err(unreadable)?;
        let digest = as_digest(&content.finalize());
        let mut layer = Sha256::new();
        let mut counted = Counted { to: HashWriter(&mut layer), written: 0 };
        write_layer(program, &mut counted).map_err(unreadable)?;
        let layer_size = counted.written;
        let config = serde_json::json!({
            "architecture": architecture(),
            "os": "linux",
            "created": "1970-01-01T00:00:00Z",
            "config": {
                "Entrypoint": [format!("/{DIRECTORY}/{PROGRAM}")],
                "Labels": { labels::PROGRAM: digest.to_string() },
            },
            "rootfs": { "type": "layers", "diff_ids": [as_digest(&layer.finalize()).to_string()] },
            "history": [{ "created": "1970-01-01T00:00:00Z", "created_by": "windlass" }],
        });
        let (program, config) = (program.to_owned(), config.to_string());
        Ok(Self { program, digest, config, layer_size, name: name.clone() })
    }

    /// Writes the image as `docker load` reads it.
    pub(crate) fn write(&self, to: impl Write) -> io::Result<()> {
        let Self { program, digest: _, config, layer_size, name } = self;
        let config_name = format!("{}.json", hexadecimal(&Digest::of(config)));
        let manifest = serde_json::json!([{
            "Config": config_name,
            "RepoTags": [name.as_str()],
            "Layers": ["layer.tar"],
        }]);
        let mut archive = Builder::new(to);
        let header = header("layer.tar", *layer_size, 0o644, EntryType::Regular)?;
        // The header first, then the layer straight from the file, then the padding that tar requires.
        archive.get_mut().write_all(header.as_bytes())?;
        let mut counted = Counted { to: archive.get_mut(), written: 0 };
        write_layer(program, &mut counted)?;
        if counted.written != *layer_size {
            return Err(io::Error::other("the program has changed while it was read"));
        }
        let padding = (512 - layer_size % 512) % 512;
        io::copy(&mut io::repeat(0).take(padding), archive.get_mut())?;
        append(&mut archive, &config_name, config.as_bytes())?;
        append(&mut archive, "manifest.json", manifest.to_string().as_bytes())?;
        archive.into_inner()?.flush()
    }
}

/// The architecture of this program, as Docker names it in images.
fn architecture() -> &'static str {
    match std::env::consts::ARCH {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        other => other,
    }
}

/// The only layer: the program, and the directory at which it sees the host.
fn write_layer(program: &Path, to: impl Write) -> io::Result<()> {
    let mut layer = Builder::new(to);
    for directory in [DIRECTORY, HOST.trim_start_matches('/')] {
        let header = header(directory, 0, 0o755, EntryType::Directory)?;
        layer.append(&header, io::empty())?;
    }
    let file = File::open(program)?;
    let size = file.metadata()?.len();
    let header = header(&format!("{DIRECTORY}/{PROGRAM}"), size, 0o755, EntryType::Regular)?;
    layer.append(&header, file.take(size))?;
    layer.into_inner()?.flush()
}

fn append<W: Write>(archive: &mut Builder<W>, name: &str, content: &[u8]) -> io::Result<()> {
    let header = header(name, content.len() as u64, 0o644, EntryType::Regular)?;
    archive.append(&header, content)
}

/// A header without anything that differs between runs.
fn header(path: &str, size: u64, mode: u32, kind: EntryType) -> io::Result<Header> {
    let mut header = Header::new_ustar();
    header.set_path(path)?;
    header.set_size(size);
    header.set_mode(mode);
    header.set_entry_type(kind);
    header.set_mtime(0);
    header.set_uid(0);
    header.set_gid(0);
    header.set_cksum();
    Ok(header)
}

/// Whether a program names a loader that must exist when it starts: a segment of type `PT_INTERP` (elf(5)).
fn is_dynamic(file: &mut File) -> io::Result<bool> {
    const INTERPRETER: u32 = 3;
    let mut head = [0; 64];
    file.seek(SeekFrom::Start(0))?;
    let is_elf = file.read_exact(&mut head).is_ok() && head.starts_with(b"\x7fELF\x02\x01");
    let mut found = false;
    if is_elf {
        let word = |at: usize| u16::from_le_bytes([head[at], head[at + 1]]);
        let mut table = [0; 8];
        table.copy_from_slice(&head[32..40]);
        let (table, size, count) = (u64::from_le_bytes(table), u64::from(word(54)), u64::from(word(56)));
        for index in 0..count {
            let mut kind = [0; 4];
            file.seek(SeekFrom::Start(table + index * size))?;
            file.read_exact(&mut kind)?;
            found |= u32::from_le_bytes(kind) == INTERPRETER;
        }
    }
    file.seek(SeekFrom::Start(0))?;
    Ok(found)
}

fn as_digest(bytes: &[u8]) -> Digest {
    use std::fmt::Write as _;
    let mut text = "sha256:".to_owned();
    for byte in bytes {
        let _ = write!(text, "{byte:02x}");
    }
    text.parse().expect("thirty-two bytes in hexadecimal are a digest")
}

fn hexadecimal(digest: &Digest) -> String {
    digest.to_string().trim_start_matches("sha256:").to_owned()
}

struct HashWriter<'a>(&'a mut Sha256);

impl Write for HashWriter<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.update(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

struct Counted<W> {
    to: W,
    written: u64,
}

impl<W: Write> Write for Counted<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let length = self.to.write(bytes)?;
        self.written += length as u64;
        Ok(length)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.to.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;

    fn entries(archive: &[u8]) -> BTreeMap<String, (u32, Vec<u8>)> {
        tar::Archive::new(archive)
            .entries()
            .unwrap()
            .map(|entry| {
                let mut entry = entry.unwrap();
                let path = entry.path().unwrap().display().to_string();
                let mode = entry.header().mode().unwrap();
                let mut content = Vec::new();
                entry.read_to_end(&mut content).unwrap();
                (path, (mode, content))
            })
            .collect()
    }

    #[test]
    fn the_image_holds_the_program_and_docker_can_check_it() {
        let mut program = tempfile::NamedTempFile::new().unwrap();
        program.write_all(&[7; 1_000]).unwrap();
        let image = NodeImage::of(program.path(), &ImageRef::from("windlass/node:1")).unwrap();
        let mut written = Vec::new();
        image.write(&mut written).unwrap();
        let mut again = Vec::new();
        image.write(&mut again).unwrap();
        assert_eq!(written, again, "equal programs make equal images");
        let outer = entries(&written);
        let manifest: serde_json::Value = serde_json::from_slice(&outer["manifest.json"].1).unwrap();
        assert_eq!(manifest[0]["RepoTags"][0], "windlass/node:1");
        let config: serde_json::Value =
            serde_json::from_slice(&outer[manifest[0]["Config"].as_str().unwrap()].1).unwrap();
        let layer = &outer[manifest[0]["Layers"][0].as_str().unwrap()].1;
        assert_eq!(config["rootfs"]["diff_ids"][0], Digest::of(layer).to_string());
        assert_eq!(config["config"]["Labels"]["io.windlass.program"], Digest::of([7; 1_000]).to_string());
        let inner = entries(layer);
        assert_eq!(inner["bin/windlass-node"], (0o755, vec![7; 1_000]));
        assert!(inner.contains_key("host"));
    }

    #[test]
    fn a_program_with_a_loader_is_distinguished_from_one_without() {
        let mut head = vec![0; 64 + 56];
        head[..6].copy_from_slice(b"\x7fELF\x02\x01");
        head[32] = 64;
        head[54] = 56;
        head[56] = 1;
        let dynamic = |kind: u8| {
            let mut file = tempfile::tempfile().unwrap();
            let mut bytes = head.clone();
            bytes[64] = kind;
            file.write_all(&bytes).unwrap();
            is_dynamic(&mut file).unwrap()
        };
        assert!(dynamic(3));
        assert!(!dynamic(1));
    }
}
