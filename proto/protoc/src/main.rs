//! Stands in for `protoc`, so that a build needs nothing but Cargo: knows the flags of prost-build.
//!
//! Never makes code; that is the asking build's part.

use std::{env, error::Error, ffi::OsString, fs, path::PathBuf};

use protox::Compiler;

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = env::args_os().skip(1);
    let (mut includes, mut files) = (Vec::<OsString>::new(), Vec::<PathBuf>::new());
    let (mut imports, mut source_info, mut output) = (false, false, None);
    while let Some(argument) = arguments.next() {
        match argument.to_str() {
            Some("--include_imports") => imports = true,
            Some("--include_source_info") => source_info = true,
            Some("-o") => output = arguments.next(),
            Some("-I") => includes.extend(arguments.next()),
            Some(flag) if flag.starts_with('-') => {
                return Err(format!("failed to read {flag}: not a flag of this protoc").into());
            }
            _ => files.push(argument.into()),
        }
    }
    let output = output.ok_or("failed to start: -o FILE is missing")?;
    let descriptors = Compiler::new(includes)?
        .include_imports(imports)
        .include_source_info(source_info)
        .open_files(files)?
        .encode_file_descriptor_set();
    Ok(fs::write(output, descriptors)?)
}
