//! The one reader of manifests: YAML or JSON text to JSON values with line numbers.
