//! Content negotiation: JSON, and of objects the Table or metadata-only form.

use crate::status::Failure;

/// The form of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Form {
    #[default]
    Object,
    /// PartialObjectMetadata, or its list.
    Metadata,
    /// In this version of meta.k8s.io.
    Table(&'static str),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Accept {
    pub form: Form,
}

impl Accept {
    /// The first of the media types asked for that can be served.
    pub fn parse(header: &str) -> Result<Self, Failure> {
        if header.trim().is_empty() {
            return Ok(Self::default());
        }
        let form = header.split(',').find_map(form).ok_or_else(|| {
            let message = "only the following media types are accepted: application/json, \
                application/json;as=Table, application/json;as=PartialObjectMetadata";
            Failure::new(406, "NotAcceptable", message)
        })?;
        Ok(Self { form })
    }
}

fn form(media: &str) -> Option<Form> {
    let mut parts = media.split(';').map(str::trim);
    let range = parts.next()?.to_ascii_lowercase();
    if !matches!(range.as_str(), "application/json" | "application/*" | "*/*") {
        return None;
    }
    let mut wanted = None;
    let mut version = None;
    for (key, value) in parts.filter_map(|it| it.split_once('=')) {
        match key {
            "as" => wanted = Some(value),
            "g" if value != "meta.k8s.io" => return None,
            "v" => version = Some(value),
            _ => {}
        }
    }
    match (wanted, version) {
        (None, _) => Some(Form::Object),
        (Some("Table"), Some("v1")) => Some(Form::Table("v1")),
        (Some("Table"), Some("v1beta1")) => Some(Form::Table("v1beta1")),
        (Some("PartialObjectMetadata" | "PartialObjectMetadataList"), Some("v1" | "v1beta1")) => {
            Some(Form::Metadata)
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(header: &str, expected: Option<Form>) {
        assert_eq!(Accept::parse(header).ok().map(|it| it.form), expected, "{header}");
    }

    #[test]
    fn the_first_form_that_can_be_served_wins() {
        check("", Some(Form::Object));
        check("application/json, */*", Some(Form::Object));
        check("application/vnd.kubernetes.protobuf,application/json", Some(Form::Object));
        check(
            "application/json;as=Table;v=v1;g=meta.k8s.io,application/json",
            Some(Form::Table("v1")),
        );
        check("application/json;as=Table;v=v9;g=meta.k8s.io,application/json", Some(Form::Object));
        check("application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1", Some(Form::Metadata));
        check("application/vnd.kubernetes.protobuf", None);
        check("application/yaml", None);
    }
}
