//! Private keys that stand in cluster.yml: what no SSH can read as one, and why.

/// The line that begins every private key in PEM.
const PRIVATE: &str = "PRIVATE KEY-----";

/// Whether a text is a public key.
pub(super) fn is_public(text: &str) -> bool {
    ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-", "-----BEGIN PUBLIC", "---- BEGIN SSH2 PUBLIC"]
        .iter()
        .any(|head| text.starts_with(head))
}

/// What is wrong with a text that should be a private key, and what to do about it; never a piece of the text.
pub(super) fn private_key_flaw(text: &str) -> Option<(&'static str, &'static str)> {
    let text = text.trim();
    if is_public(text) {
        return Some((
            "is a public key",
            "give the private key that belongs to it, or its file under `ssh_key_path`",
        ));
    }
    if !text.contains('\n') && text.starts_with(['/', '~', '.']) {
        return Some(("is a path, and not a key", "write it under `ssh_key_path`"));
    }
    let whole = "paste the whole text, with its lines BEGIN and END, after `|-`";
    if !text.starts_with("-----BEGIN ") || !text.contains(PRIVATE) {
        return Some(("is no private key", whole));
    }
    let lines: Vec<&str> = text.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    if lines.len() == 1 {
        let help = if text.contains("\\n") {
            "the text has `\\n` in the place of its line ends: write it between double quotes, or after `|-`"
        } else {
            "its lines are one: keep its line ends, by writing it after `|-`"
        };
        return Some(("is a private key without line ends", help));
    }
    // Some keys have headers such as `Proc-Type: 4,ENCRYPTED` before the base64.
    let is_of_key = |line: &&str| {
        line.contains(": ")
            || line.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"+/= \t".contains(&byte))
    };
    let is_whole = lines.len() > 2
        && lines.last().is_some_and(|line| line.starts_with("-----END ") && line.ends_with(PRIVATE))
        && lines[1..lines.len() - 1].iter().all(is_of_key);
    if is_whole { None } else { Some(("holds no whole private key", whole)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_no_private_key_says_why() {
        let whole = "-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\n";
        assert_eq!(private_key_flaw(whole), None);
        assert_eq!(private_key_flaw(&whole.replace("RSA", "OPENSSH")), None);
        let what = |text: &str| private_key_flaw(text).map(|(what, _)| what);
        assert_eq!(what("ssh-ed25519 AAAA ops@laptop"), Some("is a public key"));
        assert_eq!(what("~/.ssh/id_rsa"), Some("is a path, and not a key"));
        assert_eq!(what("MIIE"), Some("is no private key"));
        assert_eq!(what(&whole.replace('\n', "\\n")), Some("is a private key without line ends"));
        assert_eq!(what(&whole.replace('\n', " ")), Some("is a private key without line ends"));
        for wrong in ["", "…", "-----BEGIN RSA PRIVATE KEY-----"] {
            assert_eq!(what(&whole.replace("MIIE", wrong)), Some("holds no whole private key"), "{wrong}");
        }
        assert_eq!(
            what(&whole.replace("END RSA PRIVATE KEY", "END CERTIFICATE")),
            Some("holds no whole private key")
        );
        assert_eq!(
            what(&whole.replace("MIIE", "Proc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,7F\n\nMIIE")),
            None
        );
        assert_eq!(
            what("-----BEGIN CERTIFICATE-----\nx\n-----END CERTIFICATE-----"),
            Some("is no private key")
        );
    }
}
