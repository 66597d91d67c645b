//! Users and groups that the machine has, as its files list them.

use std::fs;
use std::io;
use std::path::PathBuf;

/// A user, as `/etc/passwd` has it.
#[derive(Debug)]
pub(crate) struct Account {
    pub(crate) name: String,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) home: PathBuf,
}

/// All users.
pub(crate) fn users() -> io::Result<Vec<Account>> {
    let parse = |line: &str| {
        let mut fields = line.split(':');
        let name = fields.next()?.to_owned();
        let uid = fields.nth(1)?.parse().ok()?;
        let gid = fields.next()?.parse().ok()?;
        let home = PathBuf::from(fields.nth(1)?);
        Some(Account { name, uid, gid, home })
    };
    Ok(fs::read_to_string("/etc/passwd")?.lines().filter_map(parse).collect())
}

/// The user of that name, if there is one.
pub(crate) fn user(name: &str) -> io::Result<Option<Account>> {
    Ok(users()?.into_iter().find(|account| account.name == name))
}

/// The number of the group of that name, if there is one.
pub(crate) fn group(name: &str) -> io::Result<Option<u32>> {
    let groups = fs::read_to_string("/etc/group")?;
    let mut lines = groups.lines().map(|line| line.split(':'));
    Ok(lines.find_map(|mut fields| if fields.next()? == name { fields.nth(1)?.parse().ok() } else { None }))
}
