//! Git sources against real repositories, made with the Git command line.

#[cfg(test)]
mod faults;
#[cfg(test)]
mod fixture;
#[cfg(test)]
mod https;
#[cfg(test)]
mod revisions;
#[cfg(test)]
mod ssh;
#[cfg(test)]
mod trees;
