//! Puts guards into a parsed template, so that nothing Go prints as `<no value>`, `<nil>` or
//! `%!d(...)` gets out, and nothing runs without spending its budget.
//!
//! The guards are functions with names that no template can write. Never changes what a template
//! without mistakes means.

use gotmpl::{
    FuncMap,
    parse::{ActionNode, BranchNode, CommandNode, Expr, ListNode, Node, PipeNode, Pos, SmolStr},
};

/// Refuses `null` where a value is printed, and prints numbers as Go does.
pub(super) const PRINTED: &str = "(printed)";
/// Refuses `null` and long text as argument of a function that makes text.
pub(super) const ARGUMENT: &str = "(argument)";
/// Refuses a long result of a function.
pub(super) const RESULT: &str = "(result)";
/// Refuses Go's text for a verb that does not fit its argument.
pub(super) const FORMATTED: &str = "(formatted)";
/// Spends a step and prints nothing.
pub(super) const ENTERED: &str = "(entered)";

/// Arguments of one call.
const ARGUMENTS: usize = 50;
/// Verbs of one format.
const VERBS: usize = 50;

/// Go's own functions that turn any value into text, `null` included.
const TEXT_MAKERS: [&str; 6] = ["print", "printf", "println", "html", "js", "urlquery"];
/// Functions of Go's that are known without being registered.
const BUILTINS: [&str; 21] = [
    "and", "call", "eq", "ge", "gt", "html", "index", "js", "le", "len", "lt", "ne", "not", "or",
    "print", "printf", "println", "slice", "urlquery", "break", "continue",
];

/// Guards a template's main body.
pub(super) fn main(body: &mut ListNode, functions: &FuncMap) -> Result<(), String> {
    Hardening { functions }.list(body)
}

/// Guards a body that `template` can call: calling costs a step, so that two templates that call
/// each other twice end.
pub(super) fn define(body: &mut ListNode, functions: &FuncMap) -> Result<(), String> {
    main(body, functions)?;
    let pos = body.pos;
    let pipe = PipeNode {
        pos,
        decl: Vec::new(),
        commands: vec![guard(pos, ENTERED)],
        is_assign: false,
    };
    body.nodes.insert(0, Node::Action(ActionNode { pos, pipe }));
    Ok(())
}

fn guard(pos: Pos, name: &'static str) -> CommandNode {
    let args = vec![Expr::Identifier(pos, SmolStr::new_static(name))];
    CommandNode { pos, args }
}

struct Hardening<'a> {
    functions: &'a FuncMap,
}

impl Hardening<'_> {
    fn list(&self, list: &mut ListNode) -> Result<(), String> {
        list.nodes.iter_mut().try_for_each(|node| self.node(node))
    }

    fn node(&self, node: &mut Node) -> Result<(), String> {
        match node {
            Node::Action(ActionNode { pos, pipe }) => {
                self.pipe(pipe)?;
                if pipe.decl.is_empty() {
                    pipe.commands.push(guard(*pos, PRINTED));
                }
                Ok(())
            }
            Node::If(branch) | Node::Range(branch) | Node::With(branch) => self.branch(branch),
            Node::Template(call) => call.pipe.iter_mut().try_for_each(|pipe| self.pipe(pipe)),
            Node::List(list) => self.list(list),
            // The parser lists bodies of defines apart, and they are guarded from there.
            Node::Text(_) | Node::Define(_) | Node::Break(_) | Node::Continue(_) => Ok(()),
        }
    }

    fn branch(&self, branch: &mut BranchNode) -> Result<(), String> {
        self.pipe(&mut branch.pipe)?;
        self.list(&mut branch.body)?;
        branch
            .else_body
            .iter_mut()
            .try_for_each(|body| self.list(body))
    }

    fn pipe(&self, pipe: &mut PipeNode) -> Result<(), String> {
        let commands = std::mem::take(&mut pipe.commands);
        for (index, mut command) in commands.into_iter().enumerate() {
            let pos = command.pos;
            let function = called(&command).map(ToString::to_string);
            let text_maker = function
                .as_deref()
                .is_some_and(|it| TEXT_MAKERS.contains(&it));
            if function.as_deref() == Some("printf") {
                literal_format(&command)?;
            }
            self.arguments(&mut command, text_maker)?;
            if text_maker && index > 0 {
                pipe.commands.push(guard(pos, ARGUMENT));
            }
            pipe.commands.push(command);
            if function.as_deref() == Some("printf") {
                pipe.commands.push(guard(pos, FORMATTED));
            }
            if function.is_some() {
                pipe.commands.push(guard(pos, RESULT));
            }
        }
        Ok(())
    }

    fn arguments(&self, command: &mut CommandNode, text_maker: bool) -> Result<(), String> {
        if command.args.len() > ARGUMENTS + 1 {
            return Err(format!(
                "a call has more than {ARGUMENTS} arguments; use fewer"
            ));
        }
        for (index, arg) in command.args.iter_mut().enumerate() {
            self.expression(arg)?;
            if text_maker && index > 0 {
                let pos = arg.pos();
                let inner = std::mem::replace(arg, Expr::Nil(pos));
                let args = vec![inner];
                let commands = vec![CommandNode { pos, args }, guard(pos, ARGUMENT)];
                let (decl, is_assign) = (Vec::new(), false);
                let pipe = PipeNode {
                    pos,
                    decl,
                    commands,
                    is_assign,
                };
                *arg = Expr::Pipe(pos, pipe);
            }
        }
        Ok(())
    }

    fn expression(&self, expression: &mut Expr) -> Result<(), String> {
        match expression {
            Expr::Identifier(_, name) => self.known(name),
            Expr::Pipe(_, pipe) => self.pipe(pipe),
            Expr::Chain(_, inner, _) => self.expression(inner),
            _ => Ok(()),
        }
    }

    fn known(&self, name: &str) -> Result<(), String> {
        if BUILTINS.contains(&name) || self.functions.contains_key(name) {
            return Ok(());
        }
        let mut names: Vec<_> = BUILTINS.into_iter().collect();
        names.extend(self.functions.keys().map(String::as_str));
        names.retain(|name| !name.starts_with('(') && !["break", "continue"].contains(name));
        names.sort_unstable();
        names.dedup();
        let names = names.join(", ");
        Err(format!(
            "there is no function {name:?}; these are known: {names}"
        ))
    }
}

/// The function that a command calls.
fn called(command: &CommandNode) -> Option<&SmolStr> {
    match command.args.first()? {
        Expr::Identifier(_, name) => Some(name),
        Expr::Chain(_, inner, _) => match inner.as_ref() {
            Expr::Identifier(_, name) => Some(name),
            _ => None,
        },
        _ => None,
    }
}

/// A format from a row could have any number of verbs.
fn literal_format(command: &CommandNode) -> Result<(), String> {
    let Some(Expr::String(_, format)) = command.args.get(1) else {
        return Err(
            "the format of printf must be a literal text; write it as first argument".to_owned(),
        );
    };
    if format
        .bytes()
        .filter(|byte| *byte == b'%')
        .take(VERBS + 1)
        .count()
        > VERBS
    {
        return Err(format!(
            "the format of printf has more than {VERBS} verbs; use fewer"
        ));
    }
    Ok(())
}
