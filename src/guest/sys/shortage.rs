//! Which limit was met when the system refused address space, by its name, so that one knows what to raise.

use std::fs;
use std::io;

/// What the process has, and what it may have. What cannot be read is not known.
#[derive(Clone, Copy, Debug, Default)]
struct Limits {
    /// Mappings that there are.
    mappings: Option<usize>,
    /// Mappings that there may be.
    most_mappings: Option<usize>,
    /// Bytes of address space that there may be; none if there is no limit.
    address_space: Option<u64>,
    /// Whether the system sets memory aside for all that is reserved.
    strict: bool,
}

/// Why the system has said so: the limit that was met, or else what the system says.
pub(super) fn explain(error: &io::Error) -> String {
    let limit = Limits::here().met();
    limit.map_or_else(
        || format!("the system's memory or address space is used up ({error})"),
        |limit| format!("{limit} ({error})"),
    )
}

impl Limits {
    /// Those of this process. Only read when something has run out.
    fn here() -> Limits {
        let read = |path: &str| fs::read_to_string(path).ok();
        let number = |path: &str| read(path)?.trim().parse().ok();
        Limits {
            mappings: read("/proc/self/maps").map(|maps| maps.lines().count()),
            most_mappings: number("/proc/sys/vm/max_map_count"),
            address_space: read("/proc/self/limits").and_then(|limits| address_space(&limits)),
            strict: number("/proc/sys/vm/overcommit_memory") == Some(2),
        }
    }

    /// The one that was met. A call that splits a mapping takes two more, so the last two count as taken.
    fn met(&self) -> Option<String> {
        if let (Some(now), Some(most)) = (self.mappings, self.most_mappings)
            && now.saturating_add(2) >= most
        {
            return Some(format!("all {most} mappings that a process may have are used up (vm.max_map_count)"));
        }
        if let Some(bytes) = self.address_space {
            let mib = bytes >> 20;
            return Some(format!(
                "the {mib} MiB of address space that this process may have are used up (RLIMIT_AS, ulimit -v)"
            ));
        }
        self.strict.then(|| "the system has set aside all the memory that it has (vm.overcommit_memory is 2)".into())
    }
}

/// The limit of address space in Linux's list of a process's limits, if there is one.
fn address_space(limits: &str) -> Option<u64> {
    let line = limits.lines().find_map(|line| line.strip_prefix("Max address space"))?;
    line.split_whitespace().next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_limit_is_called_by_its_name_and_mappings_come_first() {
        let free = Limits { mappings: Some(65_527), most_mappings: Some(65_530), address_space: None, strict: false };
        assert_eq!(free.met(), None);
        let strict = Limits { strict: true, ..free };
        let space = Limits { address_space: Some(3 << 20), ..strict };
        let mappings = Limits { mappings: Some(65_528), ..space };
        let named = [strict, space, mappings].map(|limits| limits.met().unwrap());
        assert_eq!(
            named,
            [
                "the system has set aside all the memory that it has (vm.overcommit_memory is 2)",
                "the 3 MiB of address space that this process may have are used up (RLIMIT_AS, ulimit -v)",
                "all 65530 mappings that a process may have are used up (vm.max_map_count)",
            ]
        );
        assert_eq!(Limits::default().met(), None, "where nothing can be read");
    }

    #[test]
    fn the_limit_of_address_space_is_found_in_the_list() {
        let list =
            "Max locked memory  8388608  8388608  bytes\nMax address space         4096000    unlimited    bytes\n";
        assert_eq!(address_space(list), Some(4_096_000));
        assert_eq!(address_space(&list.replace("4096000", "unlimited")), None);
        assert_eq!(address_space(""), None);
    }
}
