//! What `--help` says of each command, held as golden files.

use clap::CommandFactory as _;
use tidegate::args::Cli;

use crate::reach::leaves;

#[test]
fn every_help_text_is_as_agreed() {
    let mut all = Cli::command();
    // Where the variables of whoever runs the tests would show.
    all = all.mut_args(|argument| argument.hide_env_values(true));
    all.build();
    insta::with_settings!({ omit_expression => true, prepend_module_to_snapshot => false }, {
        insta::assert_snapshot!("help", all.render_long_help().to_string());
        for path in leaves() {
            let mut command = &mut all;
            for name in path.split(' ') {
                command = command.find_subcommand_mut(name).unwrap();
            }
            let help = command.render_long_help().to_string();
            // The options of every command are in the help of the whole.
            let own = help.split("Options of every command:").collect::<Vec<_>>();
            let rest = own.get(1).and_then(|rest| rest.split_once("Examples:"));
            let after = rest.map(|(_, examples)| format!("Examples:{examples}"));
            let text = format!("{}{}", own[0], after.unwrap_or_default());
            insta::assert_snapshot!(format!("help-{}", path.replace(' ', "-")), text);
        }
    });
}
