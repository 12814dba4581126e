//! Source tree to bundle: plain manifests today.
