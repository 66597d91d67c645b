//! Zones of a region.

use super::{ApiError, Client, Query};

impl Client {
    /// The zones of a region in which machines can be started, without those at other places (local and wavelength zones).
    ///
    /// # Errors
    /// EC2 does not answer.
    pub async fn available_zones(&self, region: &str) -> Result<Vec<String>, ApiError> {
        let query = Query::new().with_filter("state", ["available"]).with_filter("zone-type", ["availability-zone"]);
        let answer = self.call(region, "DescribeAvailabilityZones", &query).await?;
        let zones = answer.items("availabilityZoneInfo").filter_map(|zone| zone.text("zoneName"));
        Ok(zones.map(str::to_owned).collect())
    }
}
