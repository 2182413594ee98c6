//! Which known word a misspelt one was meant to be.

/// Longer words are no misspelling of any known one.
const MAX_LENGTH: usize = 64;

/// The nearest of the known words, if it is near enough to be meant.
pub fn nearest<'k>(word: &str, known: impl IntoIterator<Item = &'k str>) -> Option<&'k str> {
    if word.len() > MAX_LENGTH {
        return None;
    }
    let letters: Vec<char> = plain(word);
    if letters.is_empty() {
        return None;
    }
    // Of equally near ones the one that has more of its beginning in common.
    let mut best: Option<(usize, std::cmp::Reverse<usize>, &str)> = None;
    for candidate in known {
        let other: Vec<char> = plain(candidate);
        let allowed = (letters.len().max(other.len()) / 3).clamp(1, 3);
        let mut found = distance(&letters, &other);
        // `username` for `user`, `etcd-snapshot` for `etcd`: one holds the other and a little more.
        let shorter = letters.len().min(other.len());
        if found > allowed && shorter >= 4 && (letters.starts_with(&other) || other.starts_with(&letters)) {
            found = allowed;
        }
        let shared = letters.iter().zip(&other).take_while(|(one, other)| one == other).count();
        let rank = (found, std::cmp::Reverse(shared));
        if found <= allowed && best.is_none_or(|(least, most, _)| rank < (least, most)) {
            best = Some((rank.0, rank.1, candidate));
        }
    }
    best.map(|(_, _, word)| word)
}

/// Case, `-` and `_` make no difference: Rancher's documents write `kube_api` and `hostnameOverride`.
fn plain(word: &str) -> Vec<char> {
    word.chars().filter(|letter| !matches!(letter, '-' | '_')).flat_map(char::to_lowercase).collect()
}

/// How many letters must be added, removed, replaced or swapped with their neighbour.
fn distance(one: &[char], other: &[char]) -> usize {
    let width = other.len() + 1;
    let mut before: Vec<usize> = vec![0; width];
    let mut last: Vec<usize> = (0..width).collect();
    for (i, letter) in one.iter().enumerate() {
        let mut row = vec![i + 1; width];
        for (j, target) in other.iter().enumerate() {
            let replaced = last[j] + usize::from(letter != target);
            row[j + 1] = replaced.min(last[j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *letter == other[j - 1] && one[i - 1] == *target {
                row[j + 1] = row[j + 1].min(before[j - 1] + 1);
            }
        }
        before = last;
        last = row;
    }
    last[width - 1]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_misspelt_word_finds_its_neighbour() {
        let keys = ["address", "port", "internal_address", "role", "hostname_override", "user", "kube-api"];
        let near = |word| nearest(word, keys);
        assert_eq!(near("prot"), Some("port"));
        assert_eq!(near("adress"), Some("address"));
        assert_eq!(near("roles"), Some("role"));
        assert_eq!(near("hostnameOverride"), Some("hostname_override"));
        assert_eq!(near("kube_api"), Some("kube-api"));
        assert_eq!(near("username"), Some("user"));
        assert_eq!(near("prefix"), None);
        assert_eq!(near(""), None);
        assert_eq!(near(&"x".repeat(1000)), None);
    }
}
