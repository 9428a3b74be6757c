"""Maven repositories: pom.xml, Gradle's locks and verification metadata, trusted checksums, and jars."""
