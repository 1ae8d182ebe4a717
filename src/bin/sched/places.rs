//! Where results go: no two into one file, and none over what is read.

use anyhow::{Result, bail};
use std::path::{Path, PathBuf};

/// Looks at outputs, each with the option that asks for it, and at files that are read.
///
/// An error says which two are the same file. What is no plain file, such as a pipe or `/dev/null`, may be several.
pub(crate) fn keep_apart<'a>(
    outputs: &[(&str, Option<&str>)],
    inputs: impl IntoIterator<Item = &'a str>,
) -> Result<()> {
    let inputs: Vec<PathBuf> = inputs.into_iter().filter_map(place).collect();
    let mut taken: Vec<(&str, PathBuf)> = Vec::new();
    for (option, path) in outputs.iter().filter_map(|(option, path)| Some((*option, (*path)?))) {
        let Some(place) = place(path) else {
            continue;
        };
        if let Some((other, _)) = taken.iter().find(|(_, there)| *there == place) {
            bail!("{path}: {other} and {option} are to write the same file");
        }
        if inputs.contains(&place) {
            bail!("{path}: {option} would write over what is to be read");
        }
        taken.push((option, place));
    }
    Ok(())
}

/// Where a plain file is, or will be, whatever way leads there.
fn place(path: &str) -> Option<PathBuf> {
    let path = Path::new(path);
    match path.metadata() {
        Ok(about) if about.is_file() => path.canonicalize().ok(),
        Ok(_) => None,
        Err(_) => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            Some(folder.canonicalize().ok()?.join(path.file_name()?))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_file_is_found_by_any_way() {
        let folder = std::env::temp_dir().join(format!("fuelsched-places-{}", std::process::id()));
        std::fs::create_dir_all(folder.join("in")).unwrap();
        std::fs::write(folder.join("there"), "").unwrap();
        let at = |name: &str| folder.join(name).display().to_string();
        let apart = |a: &str, b: &str, read: &str| {
            keep_apart(&[("--a", Some(a)), ("--none", None), ("--b", Some(b))], [read])
                .map_err(|error| error.to_string())
        };
        assert_eq!(apart(&at("x"), &at("y"), &at("there")), Ok(()));
        assert_eq!(apart("/dev/null", "/dev/null", "/dev/null"), Ok(()));
        let (x, around) = (at("x"), at("in/../x"));
        assert_eq!(apart(&x, &around, "z"), Err(format!("{around}: --a and --b are to write the same file")));
        let (there, around) = (at("there"), at("in/../there"));
        assert_eq!(apart(&x, &around, &there), Err(format!("{around}: --b would write over what is to be read")));
        std::fs::remove_dir_all(folder).unwrap();
    }
}
